#include "kernels/random.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/random_blocks.h"
#include "kernels/cpu/vector_math.h"
#include "kernels/multiversion.h"
#include "kernels/philox.h"

namespace tutti::kernels {
// Philox, for all of them at once.
TUTTI_MULTIVERSION void make_blocks(const RandomState& state, std::uint64_t position, std::uint32_t* out) {
  std::uint32_t a[random_lanes], b[random_lanes], c[random_lanes], d[random_lanes];
  for (std::int64_t i = 0; i < random_lanes; ++i) {
    const std::uint64_t block = position + static_cast<std::uint64_t>(i);
    a[i] = static_cast<std::uint32_t>(block);
    b[i] = static_cast<std::uint32_t>(block >> 32);
    c[i] = static_cast<std::uint32_t>(state.stream);
    d[i] = static_cast<std::uint32_t>(state.stream >> 32);
  }
  auto key = static_cast<std::uint32_t>(state.seed), other_key = static_cast<std::uint32_t>(state.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (std::int64_t i = 0; i < random_lanes; ++i) {
      const std::uint64_t x = std::uint64_t{Philox::multipliers[0]} * a[i];
      const std::uint64_t y = std::uint64_t{Philox::multipliers[1]} * c[i];
      a[i] = static_cast<std::uint32_t>(y >> 32) ^ b[i] ^ key;
      b[i] = static_cast<std::uint32_t>(y);
      c[i] = static_cast<std::uint32_t>(x >> 32) ^ d[i] ^ other_key;
      d[i] = static_cast<std::uint32_t>(x);
    }
    key += Philox::key_steps[0];
    other_key += Philox::key_steps[1];
  }
  for (std::int64_t i = 0; i < random_lanes; ++i) {
    out[4 * i] = a[i];
    out[4 * i + 1] = b[i];
    out[4 * i + 2] = c[i];
    out[4 * i + 3] = d[i];
  }
}

namespace {

constexpr double two_pi = 6.28318530717958647692;

// (0, 1): never 0, whose logarithm is infinite.
double open_unit(std::uint32_t word) { return (word + 0.5) * 0x1p-32; }
double open_unit(std::uint32_t high, std::uint32_t low) {
  return (static_cast<double>(((std::uint64_t{high} << 32) | low) >> 12) + 0.5) * 0x1p-52;
}

// Rounding may reach the open end.
template <typename T>
TUTTI_INLINE T below(T value, T low, T high) {
  return value < high ? value : low;
}

// Of one instruction set: where a product is fused with its sum, other numbers come out.
void uniform(const std::uint32_t* words, float* out, std::int64_t n, double from, double to) {
  const auto low = static_cast<float>(from), high = static_cast<float>(to),
             width = static_cast<float>(to - from);
  for (std::int64_t i = 0; i < n; ++i) {
    out[i] = below(low + random_unit(words[i]) * width, low, high);
  }
}

void uniform(const std::uint32_t* words, double* out, std::int64_t n, double low, double high) {
  for (std::int64_t i = 0; i < n; ++i) {
    const auto bits = (std::uint64_t{words[2 * i]} << 32 | words[2 * i + 1]) >> 11;
    out[i] = below(low + static_cast<double>(bits) * 0x1p-53 * (high - low), low, high);
  }
}

// G. E. P. Box and M. E. Muller, 1958.
template <typename T>
void normal_pair(double u, double v, T* out, double mean, double stddev) {
  const double radius = stddev * std::sqrt(-2 * std::log(u));
  out[0] = static_cast<T>(mean + radius * std::cos(two_pi * v));
  out[1] = static_cast<T>(mean + radius * std::sin(two_pi * v));
}

void normal_pair(const std::uint32_t* words, float* out, double mean, double stddev) {
  normal_pair(open_unit(words[0]), open_unit(words[1]), out, mean, stddev);
}

void normal_pair(const std::uint32_t* words, double* out, double mean, double stddev) {
  normal_pair(open_unit(words[0], words[1]), open_unit(words[2], words[3]), out, mean, stddev);
}

template <typename T>
void normal(const std::uint32_t* words, T* out, std::int64_t n, double mean, double stddev) {
  for (std::int64_t i = 0; i < n; i += 2) {
    T pair[2];
    normal_pair(words + i * 4 / per_block(dtype_of<T>), pair, mean, stddev);
    std::copy_n(pair, std::min<std::int64_t>(2, n - i), out + i);
  }
}

// Of as many random bits as f32, whatever it is rounded to.
template <typename T>
void bernoulli(const std::uint32_t* words, T* out, std::int64_t n, double p) {
  const auto bound = static_cast<float>(p);
  for (std::int64_t i = 0; i < n; ++i) out[i] = random_unit(words[i]) < bound ? T(1) : T(0);
}

template <typename T>
void fill(Distribution distribution, const RandomState& state, T* out, std::int64_t count, double a,
          double b) {
  for_each_blocks(state, count, per_block(dtype_of<T>),
                  [=](const std::uint32_t* words, std::int64_t i, auto n) {
                    switch (distribution) {
                      case Distribution::uniform:
                        return uniform(words, out + i, n, a, b);
                      case Distribution::normal:
                        return normal(words, out + i, n, a, b);
                      case Distribution::bernoulli:
                        return bernoulli(words, out + i, n, a);
                    }
                  });
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
  for_each_blocks(state, count, 4, [=](const std::uint32_t* words, std::int64_t i, std::int64_t n) {
    for (std::int64_t k = 0; k < n; ++k)
      out[i + k] = low + static_cast<std::int64_t>((words[k] * range) >> 32);
  });
}

}  // namespace tutti::kernels
