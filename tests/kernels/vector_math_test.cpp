#include "kernels/cpu/vector_math.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace tutti::kernels {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float smallest_normal = std::numeric_limits<float>::min();

// The bound that the header promises, at every 3001st of all floats: each sign, exponent and kind of
// mantissa. Subnormal results may be flushed to 0.
template <typename F, typename Exact>
void expect_within(double ulps, F f, Exact exact) {
  double worst = 0;
  float worst_at = 0;
  for (std::uint64_t bits = 0; bits <= 0xffffffffu; bits += 3001) {
    const float x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    const double want = exact(static_cast<double>(x));
    const float rounded = static_cast<float>(want);
    const float got = f(x);
    if (std::isnan(want)) {
      ASSERT_TRUE(std::isnan(got)) << x;
    } else if (std::isinf(rounded) || want == 0) {
      ASSERT_EQ(got, rounded) << x;
    } else if (std::fabs(rounded) >= smallest_normal || got != 0) {
      const double ulp = std::nextafter(std::fabs(rounded), infinity) - std::fabs(rounded);
      const double error = std::fabs(got - want) / ulp;
      if (error > worst || std::isnan(error)) worst = error, worst_at = x;
    }
  }
  EXPECT_LE(worst, ulps) << "at " << worst_at;
}

TEST(VectorMath, IsWithinItsBoundOfTheExactFunctions) {
  expect_within(
      2, [](float x) { return vexp(x); }, [](double x) { return std::exp(x); });
  expect_within(
      2, [](float x) { return vexp_small(x > 87.0f ? 87.0f : x); },
      [](double x) { return std::exp(x > 87 ? 87 : x); });
  expect_within(
      2, [](float x) { return vlog(x); }, [](double x) { return std::log(x); });
  expect_within(
      2, [](float x) { return vtanh(x); }, [](double x) { return std::tanh(x); });
  expect_within(
      4, [](float x) { return verf(x); }, [](double x) { return std::erf(x); });
}

TEST(VectorMath, KeepsTheSpecialValues) {
  EXPECT_EQ(vexp(infinity), infinity);
  EXPECT_EQ(vexp(89.0f), infinity);
  EXPECT_EQ(vexp(88.72284f), infinity);
  EXPECT_FLOAT_EQ(vexp(88.72283f), std::exp(88.72283f));
  EXPECT_EQ(vexp(-infinity), 0.0f);
  EXPECT_EQ(vexp(-88.0f), 0.0f);
  EXPECT_EQ(vexp(0.0f), 1.0f);
  EXPECT_EQ(vexp_small(-infinity), 0.0f);
  EXPECT_EQ(vexp_small(-88.1f), 0.0f);
  EXPECT_EQ(vexp_small(0.0f), 1.0f);
  EXPECT_TRUE(std::isnan(vexp_small(nan)) && std::isnan(vexp_small(-nan)));
  EXPECT_EQ(vlog(infinity), infinity);
  EXPECT_EQ(vlog(1.0f), 0.0f);
  EXPECT_FLOAT_EQ(vlog(1e-40f), std::log(1e-40f));
  EXPECT_EQ(vtanh(infinity), 1.0f);
  EXPECT_EQ(vtanh(-infinity), -1.0f);
  EXPECT_EQ(verf(infinity), 1.0f);
  EXPECT_EQ(verf(-infinity), -1.0f);
  for (const float x : {nan, -nan}) {
    EXPECT_TRUE(std::isnan(vexp(x)) && std::isnan(vlog(x)) && std::isnan(vtanh(x)) && std::isnan(verf(x)));
  }
}

// Both zeros and every scale of negative number, which the sanitizers watch for overflow.
TEST(VectorMath, LogarithmOfWhatHasNone) {
  EXPECT_EQ(vlog(0.0f), -infinity);
  EXPECT_EQ(vlog(-0.0f), -infinity);
  for (const float x : {-1e-45f, -1e-40f, -1e-9f, -1.0f, -1e38f, -infinity}) {
    EXPECT_TRUE(std::isnan(vlog(x))) << x;
  }
}

TEST(VectorMath, OddFunctionsKeepTheSignOfZero) {
  for (const float x : {0.0f, -0.0f}) {
    EXPECT_EQ(std::signbit(vtanh(x)), std::signbit(x));
    EXPECT_EQ(std::signbit(verf(x)), std::signbit(x));
  }
}

TEST(VectorMath, DoublesAreTheStandardLibrarys) {
  EXPECT_EQ(vexp(0.3), std::exp(0.3));
  EXPECT_EQ(vexp_small(0.3), std::exp(0.3));
  EXPECT_EQ(vlog(0.3), std::log(0.3));
  EXPECT_EQ(vtanh(0.3), std::tanh(0.3));
  EXPECT_EQ(verf(0.3), std::erf(0.3));
}

}  // namespace
}  // namespace tutti::kernels
