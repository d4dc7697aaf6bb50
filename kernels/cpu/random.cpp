#include "kernels/random.h"

#include <cmath>

#include "kernels/philox.h"

namespace tutti::kernels {
namespace {

constexpr double two_pi = 6.28318530717958647692;

// (0, 1): never 0, whose logarithm is infinite.
double open_unit(std::uint32_t word) { return (word + 0.5) * 0x1p-32; }
double open_unit(std::uint32_t high, std::uint32_t low) {
  return (static_cast<double>(((std::uint64_t{high} << 32) | low) >> 12) + 0.5) * 0x1p-52;
}

void uniform(const Philox& block, float* out, double low, double high) {
  for (int k = 0; k < 4; ++k) {
    const float unit = static_cast<float>(block.words[k] >> 8) * 0x1p-24f;
    const float value = static_cast<float>(low) + unit * static_cast<float>(high - low);
    out[k] = value < static_cast<float>(high) ? value
                                              : static_cast<float>(low);  // rounding may reach the open end
  }
}

void uniform(const Philox& block, double* out, double low, double high) {
  for (int k = 0; k < 2; ++k) {
    const auto bits = (std::uint64_t{block.words[2 * k]} << 32 | block.words[2 * k + 1]) >> 11;
    const double value = low + static_cast<double>(bits) * 0x1p-53 * (high - low);
    out[k] = value < high ? value : low;
  }
}

// G. E. P. Box and M. E. Muller, 1958.
template <typename T>
void normal_pair(double u, double v, T* out, double mean, double stddev) {
  const double radius = stddev * std::sqrt(-2 * std::log(u));
  out[0] = static_cast<T>(mean + radius * std::cos(two_pi * v));
  out[1] = static_cast<T>(mean + radius * std::sin(two_pi * v));
}

void normal(const Philox& block, float* out, double mean, double stddev) {
  normal_pair(open_unit(block.words[0]), open_unit(block.words[1]), out, mean, stddev);
  normal_pair(open_unit(block.words[2]), open_unit(block.words[3]), out + 2, mean, stddev);
}

void normal(const Philox& block, double* out, double mean, double stddev) {
  normal_pair(open_unit(block.words[0], block.words[1]), open_unit(block.words[2], block.words[3]), out, mean,
              stddev);
}

template <typename T>
void fill(Distribution distribution, const RandomState& state, T* out, std::int64_t count, double a,
          double b) {
  constexpr std::int64_t n = per_block(dtype_of<T>);
  for (std::int64_t i = 0; i < count; i += n) {
    const Philox block(state.seed, state.stream, state.position + static_cast<std::uint64_t>(i / n));
    T values[n];
    distribution == Distribution::uniform ? uniform(block, values, a, b) : normal(block, values, a, b);
    for (std::int64_t k = 0; k < n && i + k < count; ++k) out[i + k] = values[k];
  }
}

}  // namespace

void Random::cpu(Distribution distribution, const RandomState& state, DType dtype, void* out,
                 std::int64_t count, double a, double b) {
  if (dtype == DType::f64) {
    fill(distribution, state, static_cast<double*>(out), count, a, b);
  } else {
    fill(distribution, state, static_cast<float*>(out), count, a, b);
  }
}

void RandomInt::cpu(const RandomState& state, std::int64_t* out, std::int64_t count, std::uint64_t range,
                    std::int64_t low) {
  for (std::int64_t i = 0; i < count; i += 4) {
    const Philox block(state.seed, state.stream, state.position + static_cast<std::uint64_t>(i / 4));
    for (std::int64_t k = 0; k < 4 && i + k < count; ++k) {
      out[i + k] = low + static_cast<std::int64_t>((block.words[k] * range) >> 32);
    }
  }
}

}  // namespace tutti::kernels
