#include "tutti/core/memory.h"

#include <gmock/gmock.h>

#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/reduce.h"
#include "tutti/nn/linear.h"
#include "tutti/optim/adam.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using memory::Category;
using testing::HasSubstr;

std::size_t now(Category category) { return memory::statistics().now[category]; }

TEST(Memory, TellsWhatTensorsAreThere) {
  const auto before = now(Category::activations);
  {
    const Tensor x = zeros({1000});
    EXPECT_EQ(now(Category::activations), before + 4000);
    const Tensor view = x;  // the same memory
    EXPECT_EQ(now(Category::activations), before + 4000);
  }
  EXPECT_EQ(now(Category::activations), before);
}

TEST(Memory, TellsWhatTheyAreFor) {
  const auto before = memory::statistics().now;
  const auto more = [&](Category category) { return now(category) - before[category]; };
  {
    Generator rng(1);
    nn::Linear linear(100, 50, rng);
    constexpr std::size_t bytes = (100 * 50 + 50) * 4;
    EXPECT_EQ(more(Category::parameters), bytes);
    optim::AdamW optimizer(linear.parameters());
    EXPECT_EQ(more(Category::optimizer), 2 * bytes);
    EXPECT_EQ(more(Category::gradients), 0u);
    const Tensor x = zeros({8, 100});
    sum(linear(x)).backward();
    EXPECT_EQ(more(Category::gradients), bytes);
    optimizer.step();
    EXPECT_EQ(more(Category::parameters), bytes);
    optimizer.zero_grad(true);
    EXPECT_EQ(more(Category::gradients), 0u);
  }
  EXPECT_EQ(memory::statistics().now.bytes, before.bytes);
}

TEST(Memory, ExternalMemoryCountsOnceItIsSaidWhatItIsFor) {
  std::vector<float> values(100);
  const auto before = memory::statistics().now;
  {
    Tensor x = from_buffer(BufferView(values), {100});
    EXPECT_EQ(memory::statistics().now.bytes, before.bytes);
    x.set_requires_grad();
    EXPECT_EQ(now(Category::parameters), before[Category::parameters] + 400);
  }
  EXPECT_EQ(memory::statistics().now.bytes, before.bytes);
}

TEST(Memory, ThePeakIsOfTheMomentWhenThereWasMost) {
  memory::reset_peak();
  const auto before = memory::statistics().now.total();
  EXPECT_EQ(memory::statistics().peak.total(), before);
  { const Tensor x = zeros({2000}), y = zeros({500}); }
  const Tensor z = zeros({1000});
  EXPECT_EQ(memory::statistics().now.total(), before + 4000);
  EXPECT_EQ(memory::statistics().peak.total(), before + 10'000);
  memory::reset_peak();
  EXPECT_EQ(memory::statistics().peak.total(), before + 4000);
}

TEST(Memory, SummaryNamesThem) {
  const Tensor x = zeros({5'000'000});
  const auto text = memory::summary();
  EXPECT_THAT(text, HasSubstr("memory of tensors on cpu"));
  for (const auto* name : {"activations", "parameters", "gradients", "optimizer", "workspace", "together"})
    EXPECT_THAT(text, HasSubstr(name));
}

}  // namespace
}  // namespace tutti
