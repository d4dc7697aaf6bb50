#include "tutti/autograd/attention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

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

// In plain operations; a query that sees no key gives 0.
Tensor plain_attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options) {
  const std::int64_t t = q.size(-2), s = k.size(-2);
  const double scale = options.scale != 0 ? options.scale : 1 / std::sqrt(static_cast<double>(q.size(-1)));
  const Tensor scores = matmul(q, k.transpose(-1, -2)) * scale;
  if (!options.causal) return matmul(softmax(scores), v);
  const TensorOptions like{q.dtype(), q.device()};
  const Tensor row = arange(t).reshape({t, 1}) + static_cast<double>(s - t);
  const Tensor seen = le(arange(s), row);
  const Tensor weights = softmax(where(seen, scores, full({}, -1e30, like)));
  return matmul(where(seen, weights, full({}, 0, like)), v);
}

double difference(const Tensor& a, const Tensor& b) { return amax(abs(a - b)).item<double>(); }

// Around the blocks of queries, with fewer keys and with more, and leading dimensions that are broadcast.
TEST(Attention, AgreesWithItsDefinitionAndItsGradient) {
  const std::vector<std::vector<Shape>> cases{
      {{2, 3, 4, 5}, {2, 3, 6, 5}, {2, 3, 6, 2}}, {{1, 8}, {1, 8}, {1, 3}},
      {{2, 130, 8}, {2, 130, 8}, {2, 130, 8}},    {{64, 4}, {200, 4}, {200, 7}},
      {{3, 90, 4}, {3, 33, 4}, {3, 33, 5}},       {{2, 1, 65, 4}, {3, 65, 4}, {65, 2}}};
  for (const auto& shapes : cases) {
    for (const AttentionOptions& options : {AttentionOptions{}, AttentionOptions{.causal = true},
                                            AttentionOptions{.causal = true, .scale = -0.4}}) {
      std::vector<Tensor> results;
      for (const auto& f : {scaled_dot_product_attention, plain_attention}) {
        Inputs in;
        for (const auto& shape : shapes)
          in.push_back(sample(shape, 1 - 0.1 * static_cast<double>(in.size())).set_requires_grad());
        const Tensor y = f(in[0], in[1], in[2], options);
        sum(y * sample(y.shape(), 0.5, 1.1)).backward();
        results.push_back(y.detach());
        for (const Tensor& x : in) results.push_back(x.grad());
      }
      for (std::size_t i = 0; i < 4; ++i) {
        ASSERT_EQ(results[i].shape(), results[i + 4].shape());
        EXPECT_LT(difference(results[i], results[i + 4]), 1e-11) << shapes[0].str() << options.causal << i;
      }
    }
  }
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

TEST(Attention, SinglePrecisionAgreesWithDouble) {
  const Tensor q = sample({2, 100, 24}, 2), k = sample({2, 100, 24}), v = sample({2, 100, 24});
  const auto wide = scaled_dot_product_attention(q, k, v, {.causal = true});
  const auto narrow =
      scaled_dot_product_attention(q.to(DType::f32), k.to(DType::f32), v.to(DType::f32), {.causal = true});
  EXPECT_LT(difference(narrow.to(DType::f64), wide), 1e-5);
}

// Heads lie within a row, so that joining them is a view.
TEST(Attention, HeadsOfAResultAreJoinedWithoutACopy) {
  const Tensor x = sample({2, 3, 5, 4});
  const Tensor y = scaled_dot_product_attention(x, x, x);
  EXPECT_EQ(y.transpose(1, 2).reshape({2, 5, 12}).raw_data(), y.raw_data());
}

TEST(Attention, OfNothing) {
  EXPECT_EQ(scaled_dot_product_attention(zeros({0, 3, 4}), zeros({0, 5, 4}), zeros({0, 5, 2})).shape(),
            (Shape{0, 3, 2}));
  EXPECT_EQ(scaled_dot_product_attention(ones({2, 4}), zeros({0, 4}), zeros({0, 2})).to_vector<float>(),
            std::vector<float>(4, 0.0f));
}

TEST(Attention, KeepsNaNWhereItIsSeen) {
  Tensor q = ones({4, 2}), v = ones({4, 2});
  q.select(0, 1).select(0, 0).fill_(std::numeric_limits<float>::quiet_NaN());
  const auto y = scaled_dot_product_attention(q, ones({4, 2}), v, {.causal = true}).to_vector<float>();
  EXPECT_EQ(y[0], 1);
  EXPECT_TRUE(std::isnan(y[2]));
  EXPECT_EQ(y[4], 1);
}

TEST(Attention, RefusesSizesThatDoNotFit) {
  const Tensor q = sample({2, 3, 4, 5}), v = sample({2, 3, 6, 2});
  EXPECT_THROW(scaled_dot_product_attention(q, v, sample({2, 3, 6, 5})), ShapeError);
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
