#include "tutti/autograd/batch_norm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/gradcheck.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr BatchNormOptions training{.training = true, .momentum = 0.25};

TEST(BatchNorm, HasTheGradientsOfFiniteDifferences) {
  test::expect_gradients([](const auto& in) { return batch_norm(in[0], {}, {}, in[1], in[2], training); },
                         {test::sample({3, 2, 2, 3}), test::sample({2}), test::sample({2})});
  const Tensor mean = test::sample({2}), variance = test::sample({2}, 1, 3);
  test::expect_gradients([&](const auto& in) { return batch_norm(in[0], mean, variance, in[1], in[2]); },
                         {test::sample({3, 2, 4}), test::sample({2}), test::sample({2})});
}

TEST(BatchNorm, MakesEachChannelStandardInTraining) {
  const Tensor x = test::sample({4, 3, 5, 2}, 2, 7);
  const Tensor out = batch_norm(x, {}, {}, {}, {}, {.training = true, .eps = 0});
  EXPECT_LT(amax(abs(mean(out, {0, 2, 3}))).item(), 1e-12);
  EXPECT_LT(amax(abs(var(out, {0, 2, 3}, 0) - 1.0)).item(), 1e-12);
}

TEST(BatchNorm, MovesTheRunningAveragesInTrainingOnly) {
  const Tensor x = test::sample({4, 3, 5}, 2, 7);
  const Tensor running_mean = full({3}, 4, {.dtype = DType::f64}),
               running_var = full({3}, 8, {.dtype = DType::f64});
  batch_norm(x, running_mean, running_var);
  EXPECT_EQ(running_mean.to_vector<double>(), (std::vector<double>{4, 4, 4}));
  batch_norm(x, running_mean, running_var, {}, {}, training);
  const auto near = [](const Tensor& got, const Tensor& want) {
    EXPECT_LT(amax(abs(got - want)).item(), 1e-12);
  };
  near(running_mean, 0.75 * full({3}, 4, {.dtype = DType::f64}) + 0.25 * mean(x, {0, 2}));
  near(running_var, 0.75 * full({3}, 8, {.dtype = DType::f64}) + 0.25 * var(x, {0, 2}, 1));
}

TEST(BatchNorm, KeepsItsDigitsFarFromZero) {
  const Tensor x = test::sample({64, 1, 100}) * 0.01 + 1000.0;
  const Tensor exact = batch_norm(x, {}, {}, {}, {}, training);
  const Tensor single = batch_norm(to(x, DType::f32), {}, {}, {}, {}, training);
  // The inputs themselves keep 3e-5 of the values; the sums must not add to it.
  EXPECT_LT(amax(abs(to(single, DType::f64) - exact)).item(), 1e-2);
}

TEST(BatchNorm, TakesViewsAnd16BitsAndNothing) {
  const Tensor view = permute(test::sample({2, 4, 3}), {0, 2, 1});
  EXPECT_EQ(batch_norm(view, {}, {}, {}, {}, training).to_vector<double>(),
            batch_norm(contiguous(view), {}, {}, {}, {}, training).to_vector<double>());
  Tensor half = to(view, DType::bf16);
  half.set_requires_grad();
  const Tensor out = batch_norm(half, {}, {}, {}, {}, training);
  EXPECT_EQ(out.dtype(), DType::bf16);
  sum(out).backward();
  EXPECT_EQ(half.grad().dtype(), DType::bf16);
  const Tensor averages = ones({3});
  EXPECT_EQ(batch_norm(empty({0, 3, 2, 2}), averages, averages, {}, {}, training).shape(),
            Shape({0, 3, 2, 2}));
}

TEST(BatchNorm, SaysWhatDoesNotFit) {
  const Tensor x = ones({2, 3, 4});
  const auto refuses = [](const char* message, const auto& call) {
    EXPECT_THAT(call, ThrowsMessage<Error>(HasSubstr(message)));
  };
  refuses("for x [2, 3, 4] the weight must be [3], it is [4]",
          [&] { batch_norm(x, {}, {}, ones({4}), {}, training); });
  refuses("the running variance must be [3]", [&] { batch_norm(x, ones({3}), ones({2})); });
  refuses("outside of training the running averages are needed", [&] { batch_norm(x, {}, {}); });
  refuses("x is [n, c, ...], got [3]", [] { batch_norm(ones({3}), {}, {}, {}, {}, training); });
  refuses("x [1, 3, 1, 1] has a single value per channel", [] {
    batch_norm(ones({1, 3, 1, 1}), {}, {}, {}, {}, training);
  });
  refuses("different dtypes", [&] { batch_norm(x, {}, {}, ones({3}, {.dtype = DType::f64}), {}, training); });
}

}  // namespace
}  // namespace tutti
