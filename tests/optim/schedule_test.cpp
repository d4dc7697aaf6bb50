#include "tutti/optim/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tutti/core/error.h"
#include "tutti/optim/clip_grad.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

TEST(Schedules, RiseThenFallToTheEnd) {
  const optim::WarmupCosine cosine{.lr = 1, .warmup = 4, .steps = 12, .final_lr = 0.2};
  EXPECT_DOUBLE_EQ(cosine(0), 0.2);
  EXPECT_DOUBLE_EQ(cosine(3), 0.8);
  EXPECT_DOUBLE_EQ(cosine(4), 1);
  EXPECT_DOUBLE_EQ(cosine(8), 0.6);
  EXPECT_DOUBLE_EQ(cosine(6), 0.2 + 0.8 * 0.5 * (1 + std::sqrt(0.5)));
  EXPECT_DOUBLE_EQ(cosine(12), 0.2);
  EXPECT_DOUBLE_EQ(cosine(1000), 0.2);

  const optim::WarmupLinear linear{.lr = 1, .warmup = 0, .steps = 10};
  EXPECT_DOUBLE_EQ(linear(0), 1);
  EXPECT_DOUBLE_EQ(linear(5), 0.5);
  EXPECT_DOUBLE_EQ(linear(10), 0);
}

NamedTensors with_gradients() {
  const Tensor a = zeros({2}).set_requires_grad();
  Tensor b = zeros({1}).set_requires_grad();
  Tensor(a).set_grad(tensor({3.0f, 0.0f}));
  b.set_grad(tensor({4.0f}));
  return {{"a", a}, {"b", b}, {"none", zeros({5}).set_requires_grad()}};
}

TEST(ClipGradNorm, ScalesToTheNormOfAll) {
  const auto parameters = with_gradients();
  EXPECT_EQ(optim::clip_grad_norm_(parameters, 1), 5);
  EXPECT_NEAR(parameters[0].tensor.grad().to_vector<float>()[0], 0.6f, 1e-6);
  EXPECT_NEAR(parameters[1].tensor.grad().item(), 0.8f, 1e-6);
}

TEST(ClipGradNorm, LeavesSmallGradientsAlone) {
  const auto parameters = with_gradients();
  EXPECT_EQ(optim::clip_grad_norm_(parameters, 5.1), 5);
  EXPECT_EQ(parameters[0].tensor.grad().to_vector<float>()[0], 3);
  EXPECT_THROW(optim::clip_grad_norm_(parameters, -1), ConfigError);
}

TEST(ClipGradNorm, SumsLongGradientsWhole) {
  for (const std::int64_t n : {1, 15, 4096, 4097, 50000}) {
    Tensor p = zeros({n}).set_requires_grad();
    p.set_grad(full({n}, 2));
    EXPECT_DOUBLE_EQ(optim::grad_norm({{"p", p}}), std::sqrt(4.0 * static_cast<double>(n)));
  }
}

}  // namespace
}  // namespace tutti
