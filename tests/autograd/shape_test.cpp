#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/gradcheck.h"
#include "tutti/core/error.h"
#include "tutti/tutti.h"

namespace tutti {
namespace {

using test::expect_gradients;
using test::sample;
using testing::ElementsAre;
using Inputs = std::vector<Tensor>;

TEST(Reshape, IsAViewWhereStridesAllow) {
  const Tensor x = arange(24).reshape({2, 3, 4});
  EXPECT_EQ(x.reshape({6, -1}).storage(), x.storage());
  EXPECT_EQ(x.permute({0, 2, 1}).reshape({2, 12}).to_vector<std::int64_t>()[1], 4);
  EXPECT_NE(x.permute({0, 2, 1}).reshape({2, 12}).storage(), x.storage());
  EXPECT_EQ(x.slice(2, 0, 2).reshape({6, 2}).storage(), x.storage());  // outer dimensions still lie densely
  EXPECT_EQ(x.transpose(0, 1).reshape({3, 2, 2, 2}).storage(), x.storage());
  EXPECT_EQ(zeros({0, 3}).reshape({3, 0}).shape(), (Shape{3, 0}));
  EXPECT_THROW(x.reshape({5, -1}), ShapeError);
  EXPECT_THROW(x.reshape({-1, -1}), ShapeError);
  EXPECT_THROW(x.reshape({7}), ShapeError);
}

TEST(Views, HaveTheElementsThatNumPyGives) {
  const Tensor x = arange(6).reshape({2, 3});
  EXPECT_THAT(x.transpose(0, 1).to_vector<std::int64_t>(), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_THAT(x.slice(1, -2, 100).to_vector<std::int64_t>(), ElementsAre(1, 2, 4, 5));
  EXPECT_THAT(x.slice(1, 0, 3, 2).to_vector<std::int64_t>(), ElementsAre(0, 2, 3, 5));
  EXPECT_THAT(x.select(0, -1).to_vector<std::int64_t>(), ElementsAre(3, 4, 5));
  EXPECT_THAT(x.select(1, 0).to_vector<std::int64_t>(), ElementsAre(0, 3));
  EXPECT_THAT(x.select(0, 0).expand({2, -1}).to_vector<std::int64_t>(), ElementsAre(0, 1, 2, 0, 1, 2));
  EXPECT_EQ(x.unsqueeze(-1).shape(), (Shape{2, 3, 1}));
  EXPECT_EQ(x.unsqueeze(0).squeeze(0).shape(), x.shape());
  EXPECT_EQ(x.slice(0, 1, 0).numel(), 0);
}

TEST(Views, RefuseWhatIsNotThere) {
  const Tensor x = zeros({2, 3});
  EXPECT_THROW(x.select(0, 2), ShapeError);
  EXPECT_THROW(x.squeeze(0), ShapeError);
  EXPECT_THROW(x.permute({0, 0}), ShapeError);
  EXPECT_THROW(x.expand({3, 3}), ShapeError);
  EXPECT_THROW(x.slice(0, 0, 1, 0), ShapeError);
  EXPECT_THROW(x.transpose(0, 2), ShapeError);
  EXPECT_THROW(cat({}), ShapeError);
  EXPECT_THROW(cat({x, zeros({2, 4})}, 0), ShapeError);
  EXPECT_THROW(cat({x, arange(3)}, 0), DTypeError);
}

TEST(Join, CatStackAndSplit) {
  const Tensor x = arange(4).reshape({2, 2});
  EXPECT_THAT(cat({x, x}, 1).to_vector<std::int64_t>(), ElementsAre(0, 1, 0, 1, 2, 3, 2, 3));
  EXPECT_EQ(stack({x, x, x}, 1).shape(), (Shape{2, 3, 2}));
  const auto parts = split(arange(5), 2);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_THAT(parts[2].to_vector<std::int64_t>(), ElementsAre(4));
}

TEST(Views, GradientsMatchFiniteDifferences) {
  const Tensor x = sample({2, 3, 4});
  expect_gradients([](const Inputs& in) { return in[0].reshape({4, 6}); }, {x.clone()});
  expect_gradients([](const Inputs& in) { return in[0].permute({2, 0, 1}).reshape({4, 6}); }, {x.clone()});
  expect_gradients([](const Inputs& in) { return in[0].transpose(0, 2); }, {x.clone()});
  expect_gradients([](const Inputs& in) { return in[0].slice(2, 1, 4, 2).slice(1, -2, 3); }, {x.clone()});
  expect_gradients([](const Inputs& in) { return in[0].select(1, 1); }, {x.clone()});
  expect_gradients([](const Inputs& in) { return in[0].select(0, 1).expand({5, 3, 4}); }, {x.clone()});
  expect_gradients([](const Inputs& in) { return in[0].flatten(1).unsqueeze(1); }, {x.clone()});
  expect_gradients(
      [](const Inputs& in) {
        return cat({in[0], in[1], in[0]}, 1);
      },
      {sample({2, 1}), sample({2, 3})});
  expect_gradients(
      [](const Inputs& in) {
        return stack({in[0], in[1]}, 1);
      },
      {sample({2, 3}), sample({2, 3})});
  expect_gradients(
      [](const Inputs& in) {
        const auto parts = split(in[0], 3, 2);
        return parts[0].select(2, 0) * parts[1].select(2, 0);
      },
      {x.clone()});
  expect_gradients([](const Inputs& in) { return in[0].to(DType::f32).to(DType::f64).clone(); },
                   {sample({3})}, 1e-2);
}

TEST(Reduce, SumsMeansAndExtrema) {
  const Tensor x = arange(24).reshape({2, 3, 4}).to(DType::f32);
  EXPECT_EQ(sum(x).item(), 276);
  EXPECT_THAT(sum(x, {0, 2}).to_vector<float>(), ElementsAre(60, 92, 124));
  EXPECT_THAT(sum(x, {-1}, true).to_vector<float>(), ElementsAre(6, 22, 38, 54, 70, 86));
  EXPECT_EQ(sum(x, {1}, true).shape(), (Shape{2, 1, 4}));
  EXPECT_THAT(mean(x, {0, 1}).to_vector<float>(), ElementsAre(10, 11, 12, 13));
  EXPECT_THAT(amax(x, {1, 2}).to_vector<float>(), ElementsAre(11, 23));
  EXPECT_EQ(amin(x).item(), 0);
  EXPECT_THAT(argmax(x.transpose(0, 2) * -1, 1).to_vector<std::int64_t>(), testing::Each(0));
  EXPECT_EQ(var(tensor({1.0f, 2.0f, 3.0f, 4.0f}), {0}).item(), 5.0f / 3);
  EXPECT_EQ(sum(zeros({0, 3}), {0}).shape(), (Shape{3}));
  EXPECT_EQ(sum(eq(x, x)).item<std::int64_t>(), 24);
  EXPECT_THROW(amax(zeros({0})), ShapeError);
  EXPECT_THROW(sum(x, {0, -3}), ShapeError);
  EXPECT_THROW(mean(arange(3)), DTypeError);
}

TEST(Reduce, LongSumsKeepTheirAccuracy) {
  // 0.1 added naively 10 million times in f32 is off by 8 %.
  const Tensor x = full({10'000'000}, 0.1);
  EXPECT_NEAR(sum(x).item(), 1e6, 1);
  EXPECT_NEAR(sum(x.reshape({5'000'000, 2}), {0}).select(0, 1).item(), 5e5, 1);
}

TEST(Reduce, OfNoElementsIsZeroOrNothing) {
  EXPECT_EQ(sum(zeros({0, 3}), {0}).to_vector<float>(), std::vector<float>(3, 0.0f));
  EXPECT_EQ(sum(zeros({3, 0}), {0}).shape(), Shape{0});
  EXPECT_EQ(sum(zeros({2, 3, 0}), {1}).shape(), (Shape{2, 0}));
  EXPECT_EQ(sum(zeros({3, 0}), {1}).to_vector<float>(), std::vector<float>(3, 0.0f));
}

TEST(Reduce, OddSizesAgreeWithExactSums) {
  for (const std::int64_t n : {1, 2, 15, 16, 17, 127, 128, 129, 255, 1000, 4097}) {
    const Tensor x = arange(n * 3).to(DType::f64).reshape({n, 3});
    const auto columns = sum(x, {0}).to_vector<double>();
    const double m = static_cast<double>(n);
    EXPECT_EQ(columns[1], 3 * m * (m - 1) / 2 + m) << n;
    EXPECT_EQ(sum(x).item<double>(), 3 * m * (3 * m - 1) / 2) << n;
  }
}

TEST(Reduce, GradientsMatchFiniteDifferences) {
  const Tensor x = sample({2, 3, 4});
  expect_gradients([](const Inputs& in) { return sum(in[0], {0, 2}); }, {x.clone()});
  expect_gradients([](const Inputs& in) { return mean(in[0], {1}, true); }, {x.clone()});
  expect_gradients([](const Inputs& in) { return mean(in[0]); }, {x.clone()});
  expect_gradients([](const Inputs& in) { return amax(in[0], {1}); }, {x.clone()});
  expect_gradients([](const Inputs& in) { return amin(in[0], {0, 1}, true); }, {x.clone()});
  expect_gradients([](const Inputs& in) { return var(in[0], {1, 2}); }, {x.clone()});
}

}  // namespace
}  // namespace tutti
