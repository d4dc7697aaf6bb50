#include "tutti/autograd/conv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/support/gradcheck.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

using test::sample;
using testing::HasSubstr;
using testing::ThrowsMessage;

// By its definition.
std::vector<double> convolved(const Tensor& x, const Tensor& weight, const ConvOptions& o, const Shape& out) {
  std::vector<double> values;
  const std::int64_t in = weight.size(1), group_out = weight.size(0) / o.groups;
  const auto images = x.to_vector<double>(), kernel = weight.to_vector<double>();
  const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
  for (std::int64_t n = 0; n < out[0]; ++n) {
    for (std::int64_t c = 0; c < out[1]; ++c) {
      for (std::int64_t oy = 0; oy < out[2]; ++oy) {
        for (std::int64_t ox = 0; ox < out[3]; ++ox) {
          double sum = 0;
          for (std::int64_t k = 0; k < in * weight.size(2) * weight.size(3); ++k) {
            const std::int64_t i = k / (weight.size(2) * weight.size(3)) + c / group_out * in;
            const std::int64_t ky = k / weight.size(3) % weight.size(2), kx = k % weight.size(3);
            const std::int64_t y = oy * o.stride.height - o.padding.height + ky * o.dilation.height;
            const std::int64_t z = ox * o.stride.width - o.padding.width + kx * o.dilation.width;
            if (y < 0 || y >= x.size(2) || z < 0 || z >= x.size(3)) continue;
            sum += images[at(((n * x.size(1) + i) * x.size(2) + y) * x.size(3) + z)] *
                   kernel[at(c * in * weight.size(2) * weight.size(3) + k)];
          }
          values.push_back(sum);
        }
      }
    }
  }
  return values;
}

struct Case {
  const char* name;
  Shape x, weight;
  ConvOptions options;
};

class Conv2d : public testing::TestWithParam<Case> {};

TEST_P(Conv2d, IsItsDefinition) {
  const auto& [name, x_shape, weight_shape, options] = GetParam();
  const Tensor x = test::sample(x_shape), weight = test::sample(weight_shape);
  const Tensor out = conv2d(x, weight, {}, options);
  const auto expected = convolved(x, weight, options, out.shape());
  EXPECT_THAT(out.to_vector<double>(), testing::Pointwise(testing::DoubleNear(1e-12), expected));
}

TEST_P(Conv2d, HasTheGradientsOfFiniteDifferences) {
  const auto& [name, x, weight, options] = GetParam();
  test::expect_gradients([options = options](const auto& in) { return conv2d(in[0], in[1], in[2], options); },
                         {test::sample(x), test::sample(weight), test::sample({weight[0]})});
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Conv2d,
    testing::Values(
        Case{"plain", {2, 2, 4, 5}, {3, 2, 3, 2}, {}}, Case{"pointwise", {2, 3, 2, 3}, {2, 3, 1, 1}, {}},
        Case{"pointwise_strided", {1, 2, 5, 4}, {2, 2, 1, 1}, {.stride = 2}},
        Case{"padded", {1, 1, 3, 2}, {2, 1, 3, 3}, {.padding = 1}},
        Case{"mostly_padding", {1, 1, 1, 2}, {1, 1, 3, 4}, {.stride = {1, 3}, .padding = {2, 4}}},
        Case{"strided", {1, 2, 7, 6}, {2, 2, 3, 2}, {.stride = {3, 2}, .padding = {0, 1}}},
        Case{"dilated", {1, 1, 6, 7}, {1, 1, 2, 3}, {.stride = 2, .padding = 1, .dilation = {3, 2}}},
        Case{"grouped", {2, 4, 3, 3}, {6, 2, 2, 2}, {.groups = 2}},
        Case{"depthwise", {1, 3, 4, 4}, {3, 1, 3, 3}, {.padding = 1, .groups = 3}}),
    [](const auto& info) { return info.param.name; });

// f64 goes by way of columns; f32 of small kernels does not. Sizes around the vectors of eight and the tiles of two rows and
// four or six channels, kernels and strides that it serves and some that it does not.
TEST(Conv2d, SinglePrecisionAgreesWithDouble) {
  struct Case {
    std::int64_t n, in, out, height, width;
    Size2d kernel, padding;
    std::int64_t groups = 1;
    Size2d stride = 1;
  };
  for (const Case& c : {Case{1, 1, 1, 3, 3, 3, 0},
                        Case{2, 3, 5, 7, 9, 3, 1},
                        Case{3, 4, 6, 8, 16, 3, 1},
                        Case{17, 2, 4, 5, 17, 3, 2},
                        Case{2, 6, 9, 6, 24, 5, 2},
                        Case{2, 5, 7, 9, 25, {2, 3}, {1, 0}},
                        Case{1, 3, 4, 8, 8, {1, 5}, {0, 4}},
                        Case{2, 4, 8, 10, 33, {5, 1}, 0, 2},
                        Case{2, 6, 6, 11, 12, 3, 1, 3},
                        Case{1, 2, 2, 9, 9, 7, 3},
                        Case{1, 2, 3, 12, 12, 8, 3},
                        Case{1, 130, 3, 5, 5, 3, 1},
                        Case{1, 2, 3, 6, 6, 3, 3},
                        Case{2, 3, 11, 4, 8, 3, 1},
                        Case{40, 2, 3, 3, 3, 2, 0},
                        Case{2, 3, 13, 9, 17, 3, 1, 1, 2},
                        Case{3, 4, 5, 8, 32, 3, 1, 1, 2},
                        Case{2, 4, 8, 9, 10, 3, 2, 2, {2, 1}},
                        Case{2, 2, 7, 7, 40, {2, 5}, {1, 2}, 1, {1, 3}},
                        Case{1, 3, 4, 19, 38, 7, 3, 1, 4},
                        Case{1, 2, 3, 12, 13, {2, 1}, 0, 1, 3},
                        Case{1, 2, 3, 21, 22, 3, 1, 1, 5},
                        Case{1, 1, 1, 2, 2, 7, 5, 1, 2}}) {
    std::vector<std::vector<double>> results[2];
    for (const DType dtype : {DType::f64, DType::f32}) {
      Tensor x = sample({c.n, c.in, c.height, c.width}).to(dtype).set_requires_grad();
      Tensor weight = sample({c.out, c.in / c.groups, c.kernel.height, c.kernel.width}, 0.3).to(dtype);
      Tensor bias = sample({c.out}, 0.7).to(dtype);
      weight.set_requires_grad();
      bias.set_requires_grad();
      const Tensor y =
          conv2d(x, weight, bias, {.stride = c.stride, .padding = c.padding, .groups = c.groups});
      sum(y * sample(y.shape(), 0.5, 0.2).to(dtype)).backward();
      for (const Tensor& t : {y.detach(), x.grad(), weight.grad(), bias.grad()})
        results[dtype == DType::f32].push_back(t.to(DType::f64).to_vector<double>());
    }
    for (std::size_t i = 0; i < 4; ++i) {
      const auto &exact = results[0][i], &narrow = results[1][i];
      ASSERT_EQ(exact.size(), narrow.size());
      double largest = 1e-3;
      for (const double value : exact) largest = std::max(largest, std::abs(value));
      for (std::size_t k = 0; k < exact.size(); ++k)
        ASSERT_NEAR(narrow[k], exact[k], 2e-5 * largest)
            << c.height << " x " << c.width << ": " << i << ", " << k;
    }
  }
}

TEST(Conv2d, TakesViewsAnd16Bits) {
  const Tensor x = test::sample({2, 5, 4, 3}), weight = test::sample({2, 3, 2, 2});
  const Tensor view = permute(x, {0, 3, 1, 2});
  EXPECT_EQ(conv2d(view, weight).to_vector<double>(), conv2d(contiguous(view), weight).to_vector<double>());
  const Tensor half = conv2d(to(view, DType::bf16), to(weight, DType::bf16));
  EXPECT_EQ(half.dtype(), DType::bf16);
  const Tensor bias = zeros({weight.size(0)});
  EXPECT_THROW(conv2d(to(view, DType::bf16), to(weight, DType::bf16), bias), DTypeError);
  EXPECT_EQ(to(half, DType::f32).to_vector<float>(),
            to(to(conv2d(to(to(view, DType::bf16), DType::f32), to(to(weight, DType::bf16), DType::f32)),
                  DType::bf16),
               DType::f32)
                .to_vector<float>());
}

TEST(Conv2d, OfNoImagesIsEmptyWithZeroGradients) {
  Tensor x = empty({0, 2, 4, 4}), weight = ones({3, 2, 3, 3}), bias = ones({3});
  for (Tensor* one : {&x, &weight, &bias}) one->set_requires_grad();
  const Tensor out = conv2d(x, weight, bias);
  EXPECT_EQ(out.shape(), Shape({0, 3, 2, 2}));
  sum(out).backward();
  EXPECT_EQ(sum(abs(weight.grad())).item(), 0);
  EXPECT_EQ(sum(abs(bias.grad())).item(), 0);
}

TEST(Conv2d, WithoutOutputChannelsHasZeroGradients) {
  const Tensor x = ones({1, 2, 4, 4}).set_requires_grad();
  const Tensor out = conv2d(x, ones({0, 2, 3, 3}));
  EXPECT_EQ(out.shape(), Shape({1, 0, 2, 2}));
  out.backward(zeros_like(out));
  EXPECT_EQ(sum(abs(x.grad())).item(), 0);
}

TEST(Conv2d, SaysWhatDoesNotFit) {
  const Tensor x = ones({1, 4, 5, 5});
  const auto refuses = [&x](const Tensor& weight, const Tensor& bias, const ConvOptions& options,
                            const char* message) {
    EXPECT_THAT([&] { conv2d(x, weight, bias, options); }, ThrowsMessage<Error>(HasSubstr(message)));
  };
  refuses(ones({2, 3, 3, 3}), {}, {},
          "conv2d: x [1, 4, 5, 5] in 1 group(s) needs a weight [out, 4, kh, kw], got [2, 3, 3, 3]");
  EXPECT_THAT(
      [] {
        conv2d(ones({1, 0, 5, 5}), ones({2, 0, 3, 3}));
      },
      ThrowsMessage<ShapeError>(HasSubstr("x needs a channel at least, got [1, 0, 5, 5]")));
  refuses(ones({2, 4, 3}), {}, {}, "conv2d: the weight is [out, in / groups, kh, kw], got [2, 4, 3]");
  refuses(ones({2, 4, 3, 3}), ones({3}), {}, "the bias must be [2], it is [3]");
  refuses(ones({2, 4, 6, 1}), {}, {},
          "conv2d: a kernel 6 x 1, dilated by 1 x 1, does not fit into x [1, 4, 5, 5] padded by 0 x 0");
  refuses(ones({2, 4, 3, 3}), {}, {.stride = 0}, "the stride must be at least 1, got 0 x 0");
  refuses(ones({2, 4, 3, 3}), {}, {.padding = {0, -1}}, "the padding must be at least 0, got 0 x -1");
  refuses(ones({2, 1, 3, 3}), {}, {.groups = 4},
          "conv2d: 4 groups must divide the 4 channels of x and the 2 of the weight");
  refuses(ones({2, 4, 3, 3}, {.dtype = DType::f64}), {}, {}, "different dtypes");
  EXPECT_THROW(conv2d(ones({4, 5, 5}), ones({2, 4, 3, 3})), ShapeError);
}

}  // namespace
}  // namespace tutti
