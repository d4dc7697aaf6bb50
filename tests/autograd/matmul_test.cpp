#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/gradcheck.h"
#include "tutti/autograd/matmul.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

using test::expect_gradients;
using test::sample;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;
using Inputs = std::vector<Tensor>;

// The definition, in f64.
std::vector<double> naive(const Tensor& a, const Tensor& b) {
  return sum(a.unsqueeze(-1) * b.unsqueeze(-3), {-2}).to_vector<double>();
}

void expect_product(const Tensor& a, const Tensor& b) {
  const auto got = matmul(a, b).to_vector<double>();
  const auto want = naive(a, b);
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], want[i], 1e-12) << a.shape().str() << b.shape().str();
}

TEST(Matmul, AgreesWithTheDefinition) {
  for (const std::int64_t m : {1, 2, 5, 17}) {
    for (const std::int64_t k : {1, 3, 16}) {
      for (const std::int64_t n : {1, 4, 33}) {
        expect_product(sample({m, k}), sample({k, n}));
        expect_product(sample({k, m}).transpose(0, 1), sample({k, n}));
        expect_product(sample({m, k}), sample({n, k}).transpose(0, 1));
        expect_product(sample({k, m}).transpose(0, 1), sample({n, k}).transpose(0, 1));
        expect_product(sample({m, 2 * k}).slice(1, 0, 2 * k, 2), sample({k, n + 3}).slice(1, 1, n + 1));
      }
    }
  }
}

TEST(Matmul, BatchesBroadcast) {
  expect_product(sample({3, 2, 4}), sample({4, 5}));
  expect_product(sample({2, 4}), sample({3, 4, 5}));
  expect_product(sample({2, 1, 3, 4}), sample({5, 4, 2}));
  expect_product(sample({2, 3, 4}), sample({1, 4, 5}));
  expect_product(sample({2, 6, 3, 4}).transpose(1, 2), sample({2, 3, 4, 5}));
  expect_product(sample({2, 3, 4}).transpose(0, 1), sample({4, 2}));
}

TEST(Matmul, VectorsAreRowsAndColumns) {
  const Tensor m = sample({2, 3});
  EXPECT_EQ(matmul(sample({2}), m).shape(), (Shape{3}));
  EXPECT_EQ(matmul(m, sample({3})).shape(), (Shape{2}));
  EXPECT_EQ(matmul(sample({3}), sample({3})).shape(), (Shape{}));
  EXPECT_EQ(matmul(sample({4, 2, 3}), sample({3})).shape(), (Shape{4, 2}));
}

TEST(Matmul, EmptySizes) {
  EXPECT_EQ(matmul(zeros({0, 3}), zeros({3, 2})).shape(), (Shape{0, 2}));
  EXPECT_THAT(matmul(zeros({1, 0}), zeros({0, 2})).to_vector<float>(), ElementsAre(0, 0));
  EXPECT_EQ(matmul(zeros({0, 2, 3}), zeros({3, 2})).shape(), (Shape{0, 2, 2}));
}

TEST(Matmul, HalfPrecisionGoesByF32) {
  const Tensor a = full({1, 512}, 1, {.dtype = DType::bf16});
  EXPECT_EQ(matmul(a, a.transpose(0, 1)).item(), 512);  // added in bf16 it would stop at 256
}

TEST(Matmul, NamesWhatDoesNotFit) {
  EXPECT_THAT(
      [] {
        matmul(zeros({32, 784}), zeros({512, 10}));
      },
      ThrowsMessage<ShapeError>("matmul: inner sizes differ: [32, 784] x [512, 10]"));
  EXPECT_THAT(
      [] {
        matmul(arange(4).reshape({2, 2}), arange(4).reshape({2, 2}));
      },
      ThrowsMessage<DTypeError>(HasSubstr("floating point is needed, got i64")));
  EXPECT_THROW(matmul(zeros({2, 2}), zeros({2, 2}, {.dtype = DType::f64})), DTypeError);
  EXPECT_THROW(matmul(zeros({2, 2, 2}), zeros({3, 2, 2})), ShapeError);
  EXPECT_THROW(linear(zeros({2, 3}), zeros({4, 5})), ShapeError);
  EXPECT_THROW(linear(zeros({2, 3}), zeros({4, 3}), zeros({3})), ShapeError);
}

TEST(Matmul, GradientsMatchFiniteDifferences) {
  const auto f = [](const Inputs& in) { return matmul(in[0], in[1]); };
  expect_gradients(f, {sample({2, 3}), sample({3, 4})});
  expect_gradients(f, {sample({2, 2, 3}), sample({3, 4})});
  expect_gradients(f, {sample({2, 3}), sample({2, 3, 2})});
  expect_gradients(f, {sample({2, 1, 2, 3}), sample({3, 3, 2})});
  expect_gradients(f, {sample({3}), sample({3, 4})});
  expect_gradients(f, {sample({2, 3}), sample({3})});
  expect_gradients([](const Inputs& in) { return matmul(in[0].transpose(0, 1), in[1].transpose(0, 1)); },
                   {sample({3, 2}), sample({4, 3})});
  expect_gradients([](const Inputs& in) { return linear(in[0], in[1], in[2]); },
                   {sample({2, 2, 3}), sample({4, 3}), sample({4})});
  expect_gradients([](const Inputs& in) { return linear(in[0], in[1], in[2]); },
                   {sample({3}), sample({4, 3}), sample({4})});
  expect_gradients([](const Inputs& in) { return linear(in[0].transpose(0, 1), in[1], in[2]); },
                   {sample({3, 2}), sample({4, 3}), sample({4})});
}

TEST(Matmul, SinglePrecisionAgreesWithDouble) {
  for (const std::int64_t k : {7, 130}) {
    const Tensor a = sample({3, 65, k}), b = sample({33, k});
    const Tensor got = matmul(a.to(DType::f32), b.to(DType::f32).transpose(0, 1)).to(DType::f64);
    EXPECT_LT(amax(abs(got - matmul(a, b.transpose(0, 1)))).item<double>(), 1e-5 * static_cast<double>(k));
  }
}

TEST(Linear, AddsTheBiasToEveryRow) {
  const Tensor x = sample({2, 5, 3}), w = sample({4, 3}), b = sample({4}, 0.7);
  const Tensor want = matmul(x, w.transpose(0, 1)) + b;
  EXPECT_LT(amax(abs(linear(x, w, b) - want)).item<double>(), 1e-14);
  const Tensor strided = sample({5, 2, 3}).transpose(0, 1);
  const Tensor wanted = matmul(strided, w.transpose(0, 1)) + b;
  EXPECT_LT(amax(abs(linear(strided, w, b) - wanted)).item<double>(), 1e-14);
  EXPECT_EQ(linear(sample({3}), w, b).shape(), (Shape{4}));
}

TEST(Linear, RoundsHalfPrecisionOnce) {
  // 257 + 1 is 258 in bf16; the product alone rounds to 256, and 256 + 1 to 256 again.
  const TensorOptions bf16{.dtype = DType::bf16};
  const Tensor y = linear(full({1, 257}, 1, bf16), full({1, 257}, 1, bf16), full({1}, 1, bf16));
  EXPECT_EQ(y.item(), 258);
}

TEST(Linear, NoInputsLeaveTheBias) {
  EXPECT_THAT(linear(zeros({2, 0}), zeros({2, 0}), tensor({3.0f, 4.0f})).to_vector<float>(),
              ElementsAre(3, 4, 3, 4));
}

TEST(Linear, NoRowsGiveZeroGradients) {
  Tensor x = zeros({0, 2, 3}), w = ones({4, 3}), b = ones({4});
  for (Tensor* t : {&x, &w, &b}) t->set_requires_grad();
  sum(linear(x, w, b)).backward();
  EXPECT_EQ(x.grad().shape(), (Shape{0, 2, 3}));
  EXPECT_EQ(amax(abs(w.grad())).item(), 0);
  EXPECT_THAT(b.grad().to_vector<float>(), ElementsAre(0, 0, 0, 0));
}

TEST(Linear, NamesWhatDiffers) {
  const TensorOptions f64{.dtype = DType::f64};
  EXPECT_THAT(
      [&] {
        linear(zeros({2, 3}), zeros({4, 3}, f64), zeros({4}));
      },
      ThrowsMessage<DTypeError>(HasSubstr("linear: ")));
  EXPECT_THAT(
      [&] {
        linear(zeros({2, 3}), zeros({4, 3}), zeros({4}, f64));
      },
      ThrowsMessage<DTypeError>(HasSubstr("linear: ")));
}

}  // namespace
}  // namespace tutti
