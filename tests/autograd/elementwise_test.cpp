#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/gradcheck.h"
#include "tutti/core/error.h"
#include "tutti/tutti.h"

namespace tutti {
namespace {

using test::expect_gradients;
using test::sample;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;
using Inputs = std::vector<Tensor>;

struct UnaryCase {
  const char* name;
  Tensor (*f)(const Tensor&);
  double (*reference)(double);
  double scale = 1, shift = 0;  // where it is sampled
};

Tensor gelu_tanh(const Tensor& x) { return gelu(x, Gelu::tanh); }
Tensor gelu_exact(const Tensor& x) { return gelu(x); }
Tensor clamped(const Tensor& x) { return clamp(x, -0.5, 0.7); }

const UnaryCase unary_cases[] = {
    {"neg", neg, [](double x) { return -x; }},
    {"abs", abs, [](double x) { return std::fabs(x); }},
    {"sign", sign, [](double x) { return double((x > 0) - (x < 0)); }},
    {"square", square, [](double x) { return x * x; }},
    {"exp", exp, [](double x) { return std::exp(x); }, 3},
    {"log", log, [](double x) { return std::log(x); }, 1, 2},
    {"sqrt", sqrt, [](double x) { return std::sqrt(x); }, 1, 2},
    {"rsqrt", rsqrt, [](double x) { return 1 / std::sqrt(x); }, 1, 2},
    {"reciprocal", reciprocal, [](double x) { return 1 / x; }},
    {"sin", sin, [](double x) { return std::sin(x); }, 3},
    {"cos", cos, [](double x) { return std::cos(x); }, 3},
    {"tanh", tanh, [](double x) { return std::tanh(x); }, 3},
    {"erf", erf, [](double x) { return std::erf(x); }, 2},
    {"floor", floor, [](double x) { return std::floor(x); }, 3},
    {"sigmoid", sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); }, 4},
    {"relu", relu, [](double x) { return x > 0 ? x : 0; }},
    {"gelu", gelu_exact, [](double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }, 3},
    {"gelu_tanh", gelu_tanh,
     [](double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }, 3},
    {"silu", silu, [](double x) { return x / (1 + std::exp(-x)); }, 4},
    {"clamp", clamped, [](double x) { return std::fmin(std::fmax(x, -0.5), 0.7); }},
};

class Unary : public testing::TestWithParam<UnaryCase> {};

TEST_P(Unary, AgreesWithTheStandardLibrary) {
  const auto& p = GetParam();
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16, DType::f16}) {
    const Tensor x = sample({7, 19}, p.scale, p.shift).to(dtype);
    const double tolerance = dtype == DType::f64 ? 1e-14 : dtype == DType::f32 ? 1e-6 : 1e-2;
    for (const Tensor& view : {x, x.transpose(0, 1), x.slice(1, 1, 19, 3)}) {
      const auto in = view.to(DType::f64).to_vector<double>();
      const auto out = p.f(view).to(DType::f64).to_vector<double>();
      for (std::size_t i = 0; i < in.size(); ++i) {
        const double want = p.reference(in[i]);
        ASSERT_NEAR(out[i], want, tolerance * std::max(1.0, std::fabs(want)))
            << name_of(dtype) << " at " << in[i];
      }
    }
  }
}

TEST_P(Unary, GradientMatchesFiniteDifferences) {
  const auto& p = GetParam();
  expect_gradients([&p](const Inputs& in) { return p.f(in[0]); }, {sample({3, 5}, p.scale, p.shift)}, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(All, Unary, testing::ValuesIn(unary_cases),
                         [](const auto& test) { return test.param.name; });

TEST(Functions, HandleTheEndsOfTheirRange) {
  const float inf = INFINITY;
  EXPECT_THAT(exp(tensor({-inf, -200.0f, 0.0f, 200.0f, inf})).to_vector<float>(),
              ElementsAre(0, 0, 1, inf, inf));
  EXPECT_THAT(log(tensor({0.0f, 1.0f, inf})).to_vector<float>(), ElementsAre(-inf, 0, inf));
  EXPECT_THAT(tanh(tensor({-inf, -50.0f, 50.0f, inf})).to_vector<float>(), ElementsAre(-1, -1, 1, 1));
  EXPECT_THAT(erf(tensor({-inf, -50.0f, 50.0f, inf})).to_vector<float>(), ElementsAre(-1, -1, 1, 1));
  for (const auto& p : unary_cases) {
    if (std::string(p.name) == "sign") continue;
    EXPECT_TRUE(std::isnan(p.f(tensor({NAN})).item())) << p.name;
  }
}

TEST(Functions, GradientsOfGatesEndWhereTheGateIsShut) {
  Tensor x = full({2}, -1e14).set_requires_grad();
  for (const auto& f :
       {+[](const Tensor& t) { return gelu(t, Gelu::tanh); }, +[](const Tensor& t) { return silu(t); }}) {
    x.set_grad({});
    sum(f(x)).backward();
    EXPECT_EQ(x.grad().to_vector<float>(), std::vector<float>(2, 0.0f));
  }
}

TEST(Functions, RefuseIntegersWhereThereIsNoAnswer) {
  EXPECT_THROW(exp(arange(3)), DTypeError);
  EXPECT_THAT(abs(arange(-2, 1)).to_vector<std::int64_t>(), ElementsAre(2, 1, 0));
  EXPECT_THROW(logical_not(arange(3)), DTypeError);
}

TEST(Arithmetic, BroadcastsAsNumPy) {
  const Tensor column = tensor({1.0f, 2.0f}, {2, 1});
  const Tensor row = tensor({10.0f, 20.0f, 30.0f});
  EXPECT_THAT((column + row).to_vector<float>(), ElementsAre(11, 21, 31, 12, 22, 32));
  EXPECT_THAT((row - column).to_vector<float>(), ElementsAre(9, 19, 29, 8, 18, 28));
  EXPECT_EQ((zeros({0, 3}) + row).shape(), (Shape{0, 3}));
}

TEST(Arithmetic, WithNumbersOnEitherSide) {
  const Tensor x = tensor({1.0f, 2.0f});
  EXPECT_THAT((1 + x).to_vector<float>(), ElementsAre(2, 3));
  EXPECT_THAT((1 - x).to_vector<float>(), ElementsAre(0, -1));
  EXPECT_THAT((2 / x).to_vector<float>(), ElementsAre(2, 1));
  EXPECT_THAT(pow(x, 3).to_vector<float>(), ElementsAre(1, 8));
  EXPECT_THAT((-x).to_vector<float>(), ElementsAre(-1, -2));
}

TEST(Arithmetic, RefusesWhatDoesNotFit) {
  EXPECT_THAT(
      [] {
        zeros({2, 3}) + zeros({2, 4});
      },
      ThrowsMessage<ShapeError>(HasSubstr("add: shapes do not broadcast: [2, 3] and [2, 4]")));
  EXPECT_THAT([] { zeros({2}) * arange(2); },
              ThrowsMessage<DTypeError>(HasSubstr("mul: operands have different dtypes: f32 and i64")));
  EXPECT_THROW(arange(3) / arange(3), DTypeError);
  EXPECT_THROW(eq(zeros({2}), 0) + eq(zeros({2}), 0), DTypeError);
}

struct BinaryCase {
  const char* name;
  Tensor (*f)(const Tensor&, const Tensor&);
  double shift = 0;
};

const BinaryCase binary_cases[] = {{"add", add},        {"sub", sub},    {"mul", mul},
                                   {"div", div, 2},     {"pow", pow, 2}, {"maximum", maximum},
                                   {"minimum", minimum}};

class Binary : public testing::TestWithParam<BinaryCase> {};

TEST_P(Binary, GradientMatchesFiniteDifferences) {
  const auto& p = GetParam();
  const auto f = [&p](const Inputs& in) { return p.f(in[0], in[1]); };
  expect_gradients(f, {sample({2, 3}, 1, p.shift), sample({2, 3}, 0.7, p.shift + 0.1)}, 1e-5);
  expect_gradients(f, {sample({4, 2, 3}, 1, p.shift), sample({2, 1}, 0.7, p.shift + 0.1)}, 1e-5);
  expect_gradients(f, {sample({1, 3}, 1, p.shift), sample({2, 2, 1}, 0.7, p.shift + 0.1)}, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(All, Binary, testing::ValuesIn(binary_cases),
                         [](const auto& test) { return test.param.name; });

TEST(Arithmetic, TiesShareTheGradient) {
  const Tensor a = tensor({1.0f, 5.0f}).set_requires_grad();
  const Tensor b = tensor({1.0f, 2.0f}).set_requires_grad();
  sum(maximum(a, b)).backward();
  EXPECT_THAT(a.grad().to_vector<float>(), ElementsAre(0.5, 1));
  EXPECT_THAT(b.grad().to_vector<float>(), ElementsAre(0.5, 0));
}

TEST(Compare, GivesBools) {
  const Tensor x = tensor({1.0f, 2.0f, NAN});
  EXPECT_EQ(lt(x, 2).dtype(), DType::bool_);
  EXPECT_THAT(lt(x, 2).to(DType::u8).to_vector<std::uint8_t>(), ElementsAre(1, 0, 0));
  EXPECT_THAT(ne(x, x).to(DType::u8).to_vector<std::uint8_t>(), ElementsAre(0, 0, 1));
  EXPECT_THAT(logical_not(ge(x, 2)).to(DType::u8).to_vector<std::uint8_t>(), ElementsAre(1, 0, 1));
}

TEST(Where, ChoosesAndSplitsTheGradient) {
  const Tensor c = gt(sample({2, 3}), 0);
  expect_gradients([&c](const Inputs& in) { return where(c, in[0], in[1]); }, {sample({2, 3}), sample({3})});
  EXPECT_THROW(where(zeros({2}), zeros({2}), zeros({2})), DTypeError);
}

}  // namespace
}  // namespace tutti
