#include "tutti/autograd/norm.h"

#include <gtest/gtest.h>

#include "tests/support/gradcheck.h"
#include "tutti/autograd/batch_norm.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

using test::expect_gradients;
using test::sample;
using Inputs = std::vector<Tensor>;

TEST(LayerNorm, AgreesWithItsDefinition) {
  const Tensor x = sample({3, 2, 37}, 3, 1), w = sample({37}, 0.5, 1), b = sample({37});
  const Tensor want = (x - mean(x, {2}, true)) / sqrt(var(x, {2}, 0, true) + 1e-3) * w + b;
  EXPECT_LT(amax(abs(layer_norm(x, w, b, 1e-3) - want)).item<double>(), 1e-13);
  const Tensor rms = x / sqrt(mean(square(x), {2}, true) + 1e-3) * w;
  EXPECT_LT(amax(abs(rms_norm(x, w, 1e-3) - rms)).item<double>(), 1e-13);
}

TEST(LayerNorm, StaysAccurateFarFromZero) {
  const Tensor x = sample({1, 64}).to(DType::f32) + 10000.0;
  EXPECT_NEAR(mean(square(layer_norm(x))).item(), 1, 1e-3);
}

TEST(LayerNorm, RefusesParametersOfAnotherSize) {
  EXPECT_THROW(layer_norm(zeros({2, 3}), zeros({2})), ShapeError);
  EXPECT_THROW(layer_norm(zeros({2, 3}), zeros({3}, {.dtype = DType::f64})), DTypeError);
  EXPECT_THROW(layer_norm(zeros({2, 3}, {.dtype = DType::i64})), DTypeError);
}

TEST(LayerNorm, GradientsMatchFiniteDifferences) {
  expect_gradients([](const Inputs& in) { return layer_norm(in[0], in[1], in[2]); },
                   {sample({2, 3, 19}), sample({19}, 0.5, 1), sample({19})}, 1e-5);
  expect_gradients([](const Inputs& in) { return layer_norm(in[0]); }, {sample({4, 5})}, 1e-5);
  expect_gradients([](const Inputs& in) { return rms_norm(in[0], in[1]); },
                   {sample({3, 18}), sample({18}, 0.5, 1)}, 1e-5);
}

TEST(Norms, OfSixteenBitsMayHaveParametersInF32) {
  const auto values = [](const Tensor& y) { return y.to(DType::f32).to_vector<float>(); };
  const auto leaf = [] { return sample({3}, 0.5, 1).to(DType::f32).set_requires_grad(); };
  const Tensor x = sample({4, 3}).to(DType::bf16), gradient = sample({4, 3}, 2).to(DType::bf16);
  const auto check = [&](const std::function<Tensor(const Tensor&, const Tensor&, const Tensor&)>& norm) {
    const Tensor w = leaf(), b = leaf(), v = leaf(), c = leaf();
    const Tensor out = norm(x, w, b), wide = norm(x.to(DType::f32), v, c);
    EXPECT_EQ(out.dtype(), DType::bf16);
    EXPECT_EQ(values(out), values(wide.to(DType::bf16)));
    out.backward(gradient);
    wide.backward(gradient.to(DType::f32));
    EXPECT_EQ(w.grad().to_vector<float>(), v.grad().to_vector<float>());
    ASSERT_EQ(b.grad().defined(), c.grad().defined());
    if (c.grad().defined()) {
      EXPECT_EQ(b.grad().to_vector<float>(), c.grad().to_vector<float>());
    }
  };
  check([](const auto& a, const auto& w, const auto& b) { return layer_norm(a, w, b); });
  check([](const auto& a, const auto& w, const auto&) { return rms_norm(a, w); });
  check([](const auto& a, const auto& w, const auto& b) {
    return batch_norm(a, zeros({3}), ones({3}), w, b, {.training = true});
  });
  EXPECT_THROW(layer_norm(x.to(DType::f32), zeros({3}, {.dtype = DType::bf16})), DTypeError);
  EXPECT_THROW(layer_norm(x.to(DType::f64), zeros({3})), DTypeError);
}

}  // namespace
}  // namespace tutti
