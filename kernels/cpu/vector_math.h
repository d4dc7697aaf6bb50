// exp, log, tanh and erf that a compiler can vectorise: no branches, no calls. The f32 versions follow Cephes
// (S. L. Moshier) and stay within 2 ulp, erf within 4; those for double are the standard library's.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace tutti::kernels {

#define TUTTI_INLINE [[gnu::always_inline]] inline

// 2^n and r of x = n log(2) + r, |r| <= log(2) / 2.
struct Halved {
  std::uint32_t exponent;  // n, in the place of a float's
  float r;
};

TUTTI_INLINE Halved halved(float x) {
  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
  const float shifted = x * 1.44269504f + 12582912.0f;
  const float n = shifted - 12582912.0f;
  return {std::bit_cast<std::uint32_t>(shifted) << 23, (x - n * 0.693359375f) + n * 2.12194440e-4f};
}

TUTTI_INLINE float exp_near_0(float r) {
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return p * r * r + r + 1.0f;
}

TUTTI_INLINE float vexp(float x) {
  constexpr float highest = 88.7228394f;  // the first whose exponential is infinite
  constexpr float lowest = -87.3365447f;  // below lie subnormal results, flushed to 0
  const auto [exponent, r] = halved(x > highest ? highest : (x < lowest ? lowest : x));
  // Times 2^n by an addition to the exponent, which n = 128 too leaves in its range: below `highest` p is then below 1.
  const float y = std::bit_cast<float>(std::bit_cast<std::uint32_t>(exp_near_0(r)) + exponent);
  const float bounded = x >= highest ? std::numeric_limits<float>::infinity() : (x < lowest ? 0.0f : y);
  return x != x ? x : bounded;
}

// Of x up to 87, in two thirds of the time: a product with 2^n keeps NaN, and is 0 from n = -127 on.
TUTTI_INLINE float vexp_small(float x) {
  constexpr float lowest = -88.0296919f;
  const auto [exponent, r] = halved(x < lowest ? lowest : x);
  return exp_near_0(r) * std::bit_cast<float>(exponent + 0x3f800000u);
}

TUTTI_INLINE float vlog(float x) {
  constexpr float smallest = std::numeric_limits<float>::min();
  const bool subnormal = x < smallest;
  const float scaled = subnormal ? x * 8388608.0f : x;
  // m in [sqrt(1/2), sqrt(2)), x = m * 2^e; unsigned, since a negative x wraps here before it becomes NaN.
  const std::uint32_t biased = std::bit_cast<std::uint32_t>(scaled) - 0x3f3504f3u;
  const float e = static_cast<float>((static_cast<std::int32_t>(biased) >> 23) - (subnormal ? 23 : 0));
  const float m = std::bit_cast<float>((biased & 0x7fffffu) + 0x3f3504f3u) - 1.0f;
  const float z = m * m;
  float p = 7.0376836292e-2f;
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  const float y = (p * m * z - 2.12194440e-4f * e - 0.5f * z) + m + 0.693359375f * e;
  const float at_ends = x == 0.0f ? -std::numeric_limits<float>::infinity()
                                  : (x == std::numeric_limits<float>::infinity() ? x : y);
  return x < 0.0f || x != x ? std::numeric_limits<float>::quiet_NaN() : at_ends;
}

TUTTI_INLINE float vtanh(float x) {
  const float a = std::fabs(x);
  const float z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const float near = p * z * x + x;
  const float far = 1.0f - 2.0f / (vexp_small(a > 20.0f ? 40.0f : 2.0f * a) + 1.0f);
  return std::copysign(a > 0.625f ? far : near, x);
}

TUTTI_INLINE float verf(float x) {
  const float a = std::fabs(x);
  const float z = x * x;
  float s = 7.853861353153693e-5f;
  s = s * z - 8.010193625184903e-4f;
  s = s * z + 5.188327685732524e-3f;
  s = s * z - 2.685381193529856e-2f;
  s = s * z + 1.128358514861418e-1f;
  s = s * z - 3.761262582423300e-1f;
  s = s * z + 1.128379165726710f;
  const float near = x * s;
  const float q = 1.0f / (a < 1.0f ? 1.0f : a);
  const float y = q * q;
  float p = 2.326819970068386e-2f;  // for [1, 2)
  p = p * y - 1.387039388740657e-1f;
  p = p * y + 3.687424674597105e-1f;
  p = p * y - 5.824733027278666e-1f;
  p = p * y + 6.210004621745983e-1f;
  p = p * y - 4.944515323274145e-1f;
  p = p * y + 3.404879937665872e-1f;
  p = p * y - 2.741127028184656e-1f;
  p = p * y + 5.638259427386472e-1f;
  float r = -1.047766399936249e+1f;  // from 2
  r = r * y + 1.297719955372516e+1f;
  r = r * y - 7.495518717768503f;
  r = r * y + 2.921019019210786f;
  r = r * y - 1.015265279202700f;
  r = r * y + 4.218463358204948e-1f;
  r = r * y - 2.820767439740514e-1f;
  r = r * y + 5.641895067754075e-1f;
  const float far = std::copysign(1.0f - vexp_small(-z) * q * (a < 2.0f ? p : r), x);
  const float bounded = a < 1.0f ? near : far;
  return x != x ? x : bounded;
}

TUTTI_INLINE double vexp(double x) { return std::exp(x); }
TUTTI_INLINE double vexp_small(double x) { return std::exp(x); }
TUTTI_INLINE double vlog(double x) { return std::log(x); }
TUTTI_INLINE double vtanh(double x) { return std::tanh(x); }
TUTTI_INLINE double verf(double x) { return std::erf(x); }

}  // namespace tutti::kernels
