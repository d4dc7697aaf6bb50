#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/gradcheck.h"
#include "tutti/autograd/matmul.h"
#include "tutti/autograd/shape.h"
#include "tutti/autograd/softmax.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

using test::expect_gradients;
using test::sample;
using testing::ElementsAre;
using Inputs = std::vector<Tensor>;

TEST(Softmax, SumsToOneAndDoesNotOverflow) {
  const auto y = softmax(tensor({1000.0f, 1000.0f, -1000.0f})).to_vector<float>();
  EXPECT_THAT(y, ElementsAre(0.5, 0.5, 0));
  EXPECT_FLOAT_EQ(log_softmax(tensor({1000.0f, 1000.0f})).to_vector<float>()[0], std::log(0.5f));
  const Tensor rows = sum(softmax(sample({5, 37}), 1), {1});
  for (const double total : rows.to_vector<double>()) EXPECT_NEAR(total, 1, 1e-14);
}

TEST(Softmax, AgreesWithTheDefinitionOnAnyDimension) {
  const Tensor x = sample({3, 18, 5}, 2);
  for (const int dim : {0, 1, 2, -2}) {
    const Tensor want = exp(x) / sum(exp(x), {dim}, true);
    EXPECT_LT(amax(abs(softmax(x, dim) - want)).item<double>(), 1e-15);
    EXPECT_LT(amax(abs(log_softmax(x, dim) - log(want))).item<double>(), 1e-14);
  }
  EXPECT_THROW(softmax(arange(3)), DTypeError);
}

TEST(Softmax, GradientsMatchFiniteDifferences) {
  expect_gradients([](const Inputs& in) { return softmax(in[0], 1); }, {sample({2, 5, 3})});
  expect_gradients([](const Inputs& in) { return log_softmax(in[0]); }, {sample({2, 19})});
}

Tensor plain_attention(const Tensor& q, const Tensor& k, const Tensor& v, bool causal) {
  const std::int64_t t = q.size(-2), s = k.size(-2);
  Tensor scores = matmul(q, k.transpose(-1, -2)) / std::sqrt(static_cast<double>(q.size(-1)));
  if (causal) {
    const Tensor row = arange(t).reshape({t, 1}) + static_cast<double>(s - t);
    scores = where(le(arange(s), row), scores, full({}, -1e30, {.dtype = DType::f64}));
  }
  return matmul(softmax(scores), v);
}

TEST(Attention, AgreesWithItsDefinition) {
  const Tensor q = sample({2, 3, 4, 5}), k = sample({2, 3, 6, 5}, 0.9), v = sample({2, 3, 6, 2}, 0.8);
  for (const bool causal : {false, true}) {
    const Tensor difference =
        scaled_dot_product_attention(q, k, v, {.causal = causal}) - plain_attention(q, k, v, causal);
    EXPECT_LT(amax(abs(difference)).item<double>(), 1e-14) << causal;
  }
  EXPECT_THROW(scaled_dot_product_attention(q, v, k), ShapeError);
}

TEST(Attention, GradientsMatchFiniteDifferences) {
  for (const bool causal : {false, true}) {
    expect_gradients(
        [causal](const Inputs& in) {
          // As a transformer hands them over: heads split off by a transposed view.
          const auto heads = [](const Tensor& x) { return x.reshape({1, 3, 2, 2}).transpose(1, 2); };
          return scaled_dot_product_attention(heads(in[0]), heads(in[1]), heads(in[2]), {.causal = causal});
        },
        {sample({1, 3, 4}), sample({1, 3, 4}, 0.9), sample({1, 3, 4}, 0.8)});
  }
}

// The vectorised path, at widths around the sixteen lanes.
TEST(Softmax, SinglePrecisionAgreesWithDoubleAtEveryWidth) {
  for (std::int64_t n = 1; n <= 70; ++n) {
    const Tensor x = sample({3, n}, 5);
    const Tensor x32 = x.to(DType::f32);
    EXPECT_LT(amax(abs(softmax(x32).to(DType::f64) - softmax(x))).item<double>(), 1e-6) << n;
    EXPECT_LT(amax(abs(log_softmax(x32).to(DType::f64) - log_softmax(x))).item<double>(), 5e-6) << n;
  }
}

TEST(Softmax, NarrowTypesEmptyTensorsAndNaN) {
  EXPECT_EQ(softmax(zeros({2, 4}, {.dtype = DType::bf16})).dtype(), DType::bf16);
  EXPECT_EQ(softmax(zeros({1, 4}, {.dtype = DType::f16})).select(1, 2).item(), 0.25f);
  EXPECT_EQ(softmax(zeros({0, 4})).shape(), (Shape{0, 4}));
  EXPECT_EQ(log_softmax(zeros({4, 0})).shape(), (Shape{4, 0}));
  for (const float y : softmax(tensor({1.0f, std::nanf(""), 2.0f})).to_vector<float>())
    EXPECT_TRUE(std::isnan(y));
}

TEST(Attention, TheFutureDoesNotReachThePast) {
  const Tensor q = sample({5, 3}), k = sample({5, 3}, 0.9), v = sample({5, 2}, 0.8);
  const Tensor before = scaled_dot_product_attention(q, k, v, {.causal = true});
  Tensor k2 = k.clone(), v2 = v.clone();
  k2.slice(0, 3, 5).fill_(1e3);
  v2.slice(0, 3, 5).fill_(1e3);
  const Tensor after = scaled_dot_product_attention(q, k2, v2, {.causal = true});
  EXPECT_EQ(before.slice(0, 0, 3).to_vector<double>(), after.slice(0, 0, 3).to_vector<double>());
  EXPECT_NE(before.to_vector<double>(), after.to_vector<double>());
}

TEST(Attention, PromotesNothingSilently) {
  const Tensor f32 = zeros({2, 3}), bf16 = zeros({2, 3}, {.dtype = DType::bf16});
  EXPECT_EQ(scaled_dot_product_attention(bf16, bf16, bf16).dtype(), DType::bf16);
  EXPECT_THROW(scaled_dot_product_attention(bf16, f32, bf16), DTypeError);
  EXPECT_THROW(scaled_dot_product_attention(bf16, bf16, f32), DTypeError);
}

}  // namespace
}  // namespace tutti
