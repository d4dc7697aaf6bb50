#include "tutti/autograd/norm.h"

#include <gtest/gtest.h>

#include "tests/support/gradcheck.h"
#include "tutti/autograd/autocast.h"
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

using AddNormOf = std::function<AddNorm(const Inputs&)>;

// The results, and the gradients of x, residual, weight and bias from those of the sum, the norm, or both.
std::vector<std::vector<double>> traced(const AddNormOf& f, const Inputs& inputs, bool use_sum,
                                        bool use_norm) {
  Inputs leaves;
  for (const Tensor& input : inputs) leaves.push_back(input.clone().set_requires_grad());
  const auto [total, normed] = f(leaves);
  const Tensor scale = sample(total.shape(), 0.5, 1.1).to(total.dtype());
  const Tensor first = use_sum ? sum(total * scale) : Tensor(),
               second = use_norm ? sum(normed * scale) : Tensor();
  (use_sum && use_norm ? first + second : use_sum ? first : second).backward();
  std::vector<std::vector<double>> result;
  for (const Tensor& out : {total, normed}) result.push_back(out.to(DType::f64).to_vector<double>());
  for (const Tensor& leaf : leaves) {
    const Tensor grad = leaf.grad();
    result.push_back(grad.defined() ? grad.to(DType::f64).to_vector<double>() : std::vector<double>{});
  }
  return result;
}

void expect_bits_of_two_steps(const AddNormOf& fused,
                              const std::function<Tensor(const Tensor&, const Inputs&)>& norm,
                              const Inputs& inputs) {
  const auto in_two_steps = [&](const Inputs& in) {
    const Tensor total = in[0] + in[1];
    return AddNorm{total, norm(total, in)};
  };
  for (const auto& [use_sum, use_norm] : {std::pair{true, true}, {true, false}, {false, true}}) {
    EXPECT_EQ(traced(fused, inputs, use_sum, use_norm), traced(in_two_steps, inputs, use_sum, use_norm))
        << use_sum << use_norm;
  }
}

TEST(AddNorm, HasTheBitsOfASumAndItsNorm) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
    for (const Shape& shape : {Shape{3, 2, 37}, Shape{70, 8}, Shape{2, 521}, Shape{1}}) {
      SCOPED_TRACE(std::string(name_of(dtype)) + shape.str());
      const Shape row{shape[shape.rank() - 1]};
      Inputs in{sample(shape, 3, 1), sample(shape, 0.7, -0.2), sample(row, 0.5, 1), sample(row)};
      for (Tensor& x : in) x = x.to(dtype);
      expect_bits_of_two_steps(
          [](const Inputs& x) { return add_layer_norm(x[0], x[1], x[2], x[3], 1e-3); },
          [](const Tensor& y, const Inputs& x) { return layer_norm(y, x[2], x[3], 1e-3); }, in);
      in.pop_back();
      expect_bits_of_two_steps([](const Inputs& x) { return add_rms_norm(x[0], x[1], x[2], 1e-3); },
                               [](const Tensor& y, const Inputs& x) { return rms_norm(y, x[2], 1e-3); }, in);
      in.pop_back();
      expect_bits_of_two_steps([](const Inputs& x) { return add_layer_norm(x[0], x[1]); },
                               [](const Tensor& y, const Inputs&) { return layer_norm(y); }, in);
    }
  }
}

TEST(AddNorm, GradientsMatchFiniteDifferences) {
  const auto operands = [](std::size_t count) {
    Inputs all{sample({2, 9}), sample({2, 9}, 0.7, 0.3), sample({9}, 0.5, 1), sample({9})};
    return Inputs(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count));
  };
  const auto joined = [](const AddNorm& y) { return y.sum * y.normed + y.sum; };
  expect_gradients([&](const Inputs& x) { return joined(add_layer_norm(x[0], x[1], x[2], x[3])); },
                   operands(4), 1e-5);
  expect_gradients([](const Inputs& x) { return add_layer_norm(x[0], x[1], x[2], x[3]).normed; }, operands(4),
                   1e-5);
  expect_gradients([](const Inputs& x) { return add_layer_norm(x[0], x[1]).sum; }, operands(2), 1e-5);
  expect_gradients([&](const Inputs& x) { return joined(add_rms_norm(x[0], x[1], x[2])); }, operands(3),
                   1e-5);
  expect_gradients([&](const Inputs& x) { return joined(add_rms_norm(x[0], x[0] * x[1])); }, operands(2),
                   1e-5);
}

// x + x; one of the two only; the parameters only; none.
TEST(AddNorm, GivesGradientsToWhatWantsThem) {
  const auto leaf = [](const Shape& shape) { return sample(shape).set_requires_grad(); };
  const auto values = [](const Tensor& x) { return x.to_vector<double>(); };
  const Tensor x = leaf({4, 6}), y = leaf({4, 6}), w = leaf({6}), b = leaf({6}), fixed = sample({4, 6});
  const auto use = [](const AddNorm& out) { sum(out.sum * 0.5 + out.normed * sample({4, 6})).backward(); };
  use(add_layer_norm(x, y, w, b));
  EXPECT_EQ(values(x.grad()), values(y.grad()));
  EXPECT_NE(x.grad().storage(), y.grad().storage());
  const auto expected = values(x.grad());
  const Tensor of_weight = w.grad().clone();
  for (const Tensor& one : {x, y, w, b}) Tensor(one).set_grad({});
  use(add_layer_norm(fixed, y, w, b));
  EXPECT_EQ(values(y.grad()), expected);
  use(add_layer_norm(x, fixed, w));
  EXPECT_EQ(values(x.grad()), expected);
  Tensor(w).set_grad({});
  use(add_layer_norm(fixed, fixed, w, b));
  EXPECT_LT(amax(abs(w.grad() - of_weight)).item<double>(), 1e-12);  // a GPU sums it another way
  Tensor(x).set_grad({});
  use(add_rms_norm(x, x));
  const Tensor twice = leaf({4, 6});
  use(add_rms_norm(twice, fixed));
  EXPECT_EQ(values(x.grad()), values(twice.grad() * 2.0));
  EXPECT_FALSE(add_layer_norm(fixed, fixed).normed.requires_grad());
}

TEST(AddNorm, OfNothingAddedIsTheNorm) {
  const Inputs in{sample({4, 9}), sample({9}, 0.5, 1), sample({9})};
  const auto plain = [](const Inputs& x) { return AddNorm{x[0], layer_norm(x[0], x[1], x[2])}; };
  const auto fused = [](const Inputs& x) { return add_layer_norm(x[0], {}, x[1], x[2]); };
  for (const auto& [use_sum, use_norm] : {std::pair{true, true}, {true, false}, {false, true}})
    EXPECT_EQ(traced(fused, in, use_sum, use_norm), traced(plain, in, use_sum, use_norm));
}

TEST(AddNorm, OfTwoPrecisionsIsF32UnderAutocast) {
  const Tensor x = sample({3, 5}).to(DType::f32).set_requires_grad();
  const Tensor y = sample({3, 5}, 0.5).to(DType::bf16).set_requires_grad();
  EXPECT_THROW(add_layer_norm(x, y), DTypeError);
  Autocast autocast(DType::bf16);
  const auto [total, normed] = add_layer_norm(x, y);
  EXPECT_EQ(total.to_vector<float>(), (x + y).to_vector<float>());
  EXPECT_EQ(normed.dtype(), DType::f32);
  sum(normed * total).backward();
  EXPECT_EQ(x.grad().dtype(), DType::f32);
  EXPECT_EQ(y.grad().to_vector<bfloat16>().size(), 15u);
}

TEST(AddNorm, RefusesWhatDoesNotFit) {
  EXPECT_THROW(add_layer_norm(zeros({2, 3}), zeros({3})), ShapeError);
  EXPECT_THROW(add_rms_norm(zeros({2, 3}), zeros({2, 3}), zeros({2})), ShapeError);
  EXPECT_THROW(add_layer_norm(zeros({2, 3}), zeros({2, 3}, {.dtype = DType::f64})), DTypeError);
  EXPECT_THROW(add_rms_norm(zeros({}), zeros({})), ShapeError);
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
