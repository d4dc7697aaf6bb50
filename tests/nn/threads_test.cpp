// A model has the same bits on any number of threads.
#include "tutti/core/threads.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tutti/tutti.h"

namespace tutti {
namespace {

// What a few steps leave of the model and the optimizer, for each number of threads.
template <typename Model>
void expect_same_bits(const std::function<Model()>& make, const std::function<Tensor(Model&)>& loss) {
  const int before = num_threads();
  std::vector<std::string> prints;
  for (int threads : {1, 2, 3, 8}) {
    set_num_threads(threads);
    Model model = make();
    optim::AdamW optimizer(model.parameters(), {.lr = 1e-2, .weight_decay = 0.1});
    for (int step = 0; step < 2; ++step) {
      const Tensor value = loss(model);
      value.backward();
      optim::clip_grad_norm_(model.parameters(), 1.0);
      optimizer.step();
      optimizer.zero_grad();
    }
    prints.push_back(fingerprint(model.state_dict()));
  }
  set_num_threads(before);
  for (const auto& print : prints) EXPECT_EQ(print, prints[0]);
}

TEST(SameBitsOnAnyThreads, Gpt) {
  Generator draws(3);
  const Tensor tokens = randint(0, 700, {2, 130}, draws), targets = randint(0, 700, {2, 130}, draws);
  expect_same_bits<nn::Gpt>(
      [] {
        return nn::Gpt(
            {.vocabulary = 700, .layers = 2, .width = 192, .heads = 3, .context = 130, .dropout = 0.1});
      },
      [&](nn::Gpt& model) { return nn::cross_entropy(model(tokens), targets); });
}

struct Images : nn::Module {
  nn::Conv2d first, second;
  nn::BatchNorm2d norm;
  nn::Linear last;

  Images() : Images(Generator(2)) {}
  explicit Images(Generator rng)
      : first(3, 24, 3, rng, {.padding = 1}),
        second(24, 32, 3, rng, {.stride = 2}),
        norm(32),
        last(32 * 4 * 4, 10, rng) {}
  Tensor forward(const Tensor& x) override {
    const Tensor y = max_pool2d(relu(first(x)), 2);
    const Tensor z = avg_pool2d(gelu(norm(second(y))), 2, {.padding = 1});
    return last(z.reshape({x.size(0), -1}));
  }
  void visit(nn::MemberVisitor& v) override {
    v.module("first", first);
    v.module("second", second);
    v.module("norm", norm);
    v.module("last", last);
  }
};

TEST(SameBitsOnAnyThreads, Images) {
  Generator draws(3);
  const Tensor x = randn({37, 3, 32, 32}, draws), targets = randint(0, 10, {37}, draws);
  expect_same_bits<Images>([] { return Images(); },
                           [&](Images& model) { return nn::cross_entropy(model(x), targets); });
}

// Reductions of each form, random numbers, copies with conversion, and what is taken by index.
TEST(SameBitsOnAnyThreads, OperationsOnLargeTensors) {
  const int before = num_threads();
  std::vector<std::string> prints;
  for (int threads : {1, 2, 3, 8}) {
    set_num_threads(threads);
    Generator draws(5);
    const Tensor x = randn({333, 1111}, draws), u = rand({333, 1111}, draws);
    const Tensor index = randint(0, 333, {5000}, draws);
    NamedTensors results{
        {"x", x},
        {"sum", sum(x)},
        {"rows", sum(x, {1})},
        {"columns", sum(x, {0})},
        {"max", amax(x)},
        {"transposed", contiguous(x.transpose(0, 1))},
        {"half", x.to(DType::bf16)},
        {"where", where(gt(x, u), x, u)},
        {"softmax", softmax(x, 1)},
        {"log_softmax", log_softmax(x.to(DType::f64), 0)},
        {"norm", rms_norm(x, ones({1111}))},
        {"taken", index_select(x, 0, index)},
        {"product", matmul(x, u.transpose(0, 1))},
        {"batch", matmul(x.reshape({37, 9, 1111}), u.reshape({37, 9, 1111}).transpose(1, 2))},
    };
    Tensor table = zeros({333, 1111}).set_requires_grad();
    sum(index_select(table, 0, index) * index_select(x, 0, index)).backward();
    results.push_back({"table", table.grad()});
    prints.push_back(fingerprint(results));
  }
  set_num_threads(before);
  for (const auto& print : prints) EXPECT_EQ(print, prints[0]);
}

}  // namespace
}  // namespace tutti
