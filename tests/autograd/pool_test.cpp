#include "tutti/autograd/pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/support/gradcheck.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(MaxPool2d, TakesTheLargestOfEachWindow) {
  const Tensor x = reshape(arange(12, {.dtype = DType::f32}), {1, 1, 3, 4});
  EXPECT_THAT(max_pool2d(x, 2).to_vector<float>(), ElementsAre(5, 7));
  EXPECT_THAT(max_pool2d(-x, 2, {.stride = 1}).to_vector<float>(), ElementsAre(0, -1, -2, -4, -5, -6));
  EXPECT_THAT(max_pool2d(x, {3, 1}).to_vector<float>(), ElementsAre(8, 9, 10, 11));
}

TEST(MaxPool2d, PaddingNeverWinsAndNaNDoes) {
  Tensor x = full({1, 1, 2, 2}, -3);
  EXPECT_THAT(max_pool2d(x, 2, {.padding = 1}).to_vector<float>(), ElementsAre(-3, -3, -3, -3));
  x.reshape({-1}).select(0, 1).fill_(std::numeric_limits<float>::quiet_NaN());
  EXPECT_TRUE(std::isnan(max_pool2d(x, 2).item()));
  const float lowest = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(max_pool2d(full({1, 1, 2, 2}, lowest), 2).item(), lowest);
}

// f64 takes one window at a time, f32 eight where it can.
TEST(MaxPool2d, SinglePrecisionIsAsDouble) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Size2d size : {Size2d{4, 16}, {7, 17}, {6, 31}, {5, 40}, {3, 9}, {4, 7}}) {
    for (const PoolOptions& options :
         {PoolOptions{.stride = 1}, PoolOptions{.stride = 2}, PoolOptions{.stride = {1, 2}, .padding = 1},
          PoolOptions{.stride = 3}}) {
      for (const Size2d window : {Size2d{2, 2}, {3, 3}, {2, 5}}) {
        Tensor x =
            floor(test::sample({2, 3, size.height, size.width}, 3)).to(DType::f32).detach();  // ties as well
        x.reshape({-1}).select(0, 5).fill_(nan);
        x.reshape({-1}).select(0, -1).fill_(nan);
        std::vector<double> results[2];
        for (const DType dtype : {DType::f32, DType::f64}) {
          Tensor in = x.to(dtype).detach().set_requires_grad();
          const Tensor out = max_pool2d(in, window, options);
          out.backward(test::sample(out.shape()).to(dtype));
          auto& result = results[dtype == DType::f32];
          for (const Tensor& one : {out.detach(), in.grad()}) {
            for (const double value : one.to(DType::f64).to_vector<double>())
              result.push_back(std::isnan(value) ? 1e9 : value);
          }
        }
        ASSERT_THAT(results[1], testing::Pointwise(testing::DoubleNear(1e-5), results[0]))
            << size.str() << " by " << window.str() << ", " << options.stride.str();
      }
    }
  }
}

TEST(MaxPool2d, GradientsOfFiniteDifferences) {
  for (const PoolOptions& options : {PoolOptions{}, PoolOptions{.stride = {1, 2}, .padding = {1, 0}}}) {
    test::expect_gradients(
        [&options](const auto& in) {
          return max_pool2d(in[0], {3, 2}, options);
        },
        {test::sample({2, 2, 5, 4})});
  }
}

TEST(AvgPool2d, CountsPaddingAsZeros) {
  const Tensor x = reshape(arange(12, {.dtype = DType::f32}), {1, 1, 3, 4});
  EXPECT_THAT(avg_pool2d(x, 2).to_vector<float>(), ElementsAre(2.5, 4.5));
  EXPECT_THAT(avg_pool2d(full({1, 1, 2, 2}, 4), 2, {.padding = 1}).to_vector<float>(),
              ElementsAre(1, 1, 1, 1));
}

TEST(AvgPool2d, GradientsOfFiniteDifferences) {
  for (const PoolOptions& options : {PoolOptions{}, PoolOptions{.stride = {1, 2}, .padding = {1, 0}}}) {
    test::expect_gradients(
        [&options](const auto& in) {
          return avg_pool2d(in[0], {3, 2}, options);
        },
        {test::sample({2, 2, 5, 4})});
  }
}

TEST(Pooling, TakesViewsAnd16BitsAndNoImages) {
  const Tensor view = permute(test::sample({2, 4, 6, 3}), {0, 3, 1, 2});
  EXPECT_EQ(max_pool2d(view, 2).to_vector<double>(), max_pool2d(contiguous(view), 2).to_vector<double>());
  EXPECT_EQ(avg_pool2d(view, 2).to_vector<double>(), avg_pool2d(contiguous(view), 2).to_vector<double>());
  EXPECT_EQ(max_pool2d(to(view, DType::f16), 2).dtype(), DType::f16);
  EXPECT_EQ(max_pool2d(empty({0, 3, 4, 4}), 2).shape(), Shape({0, 3, 2, 2}));
}

TEST(Pooling, SaysWhatDoesNotFit) {
  const auto refuses = [](const Tensor& x, Size2d window, const PoolOptions& options, const char* message) {
    EXPECT_THAT([&] { max_pool2d(x, window, options); }, ThrowsMessage<Error>(HasSubstr(message)));
    EXPECT_THAT([&] { avg_pool2d(x, window, options); }, ThrowsMessage<Error>(HasSubstr(message)));
  };
  refuses(ones({3, 4, 4}), 2, {}, "x is [n, c, h, w], got [3, 4, 4]");
  refuses(ones({1, 1, 4, 4}), 5, {}, "a kernel 5 x 5, dilated by 1 x 1, does not fit into x [1, 1, 4, 4]");
  refuses(ones({1, 1, 4, 4}), 2, {.padding = {0, 2}}, "at most half of the window 2 x 2, got 0 x 2");
  refuses(ones({1, 1, 4, 4}), 2, {.stride = {0, 1}}, "the stride must be at least 1");
  refuses(ones({1, 1, 4, 4}, {.dtype = DType::i64}), 2, {}, "floating point is needed, got i64");
  const Tensor large = expand(ones({1, 1, 1, 1}), {1, 1, 1 << 16, 1 << 15});
  EXPECT_THAT([&] { max_pool2d(large, 2); },
              ThrowsMessage<ShapeError>(HasSubstr("at most 2^31 - 1 elements, got 65536 x 32768")));
}

}  // namespace
}  // namespace tutti
