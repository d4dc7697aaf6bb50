#include "kernels/random.h"

#include <algorithm>
#include <cmath>

#include "core/parallel_for.h"
#include "kernels/cpu/vector_math.h"
#include "kernels/multiversion.h"
#include "kernels/philox.h"

namespace tutti::kernels {
namespace {

constexpr std::int64_t random_piece = piece_elements / 4;  // whole blocks, each of some dozen multiplications
constexpr std::int64_t lanes = 64;                         // fewer, and a compiler writes each of them out
constexpr double two_pi = 6.28318530717958647692;

// The words of `lanes` blocks, one behind the other: Philox, for all of them at once.
TUTTI_MULTIVERSION void make_blocks(const RandomState& state, std::uint64_t position, std::uint32_t* out) {
  std::uint32_t a[lanes], b[lanes], c[lanes], d[lanes];
  for (std::int64_t i = 0; i < lanes; ++i) {
    const std::uint64_t block = position + static_cast<std::uint64_t>(i);
    a[i] = static_cast<std::uint32_t>(block);
    b[i] = static_cast<std::uint32_t>(block >> 32);
    c[i] = static_cast<std::uint32_t>(state.stream);
    d[i] = static_cast<std::uint32_t>(state.stream >> 32);
  }
  auto key = static_cast<std::uint32_t>(state.seed), other_key = static_cast<std::uint32_t>(state.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (std::int64_t i = 0; i < lanes; ++i) {
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
  for (std::int64_t i = 0; i < lanes; ++i) {
    out[4 * i] = a[i];
    out[4 * i + 1] = b[i];
    out[4 * i + 2] = c[i];
    out[4 * i + 3] = d[i];
  }
}

// Calls f(words, i, n) for the words of many blocks at once, which make the elements i to i + n - 1 of `count`.
template <typename F>
void for_each_blocks(const RandomState& state, std::int64_t count, std::int64_t per_block, F f) {
  parallel_for(count, random_piece, [&](std::int64_t first, std::int64_t last) {
    std::uint32_t words[4 * lanes];
    for (std::int64_t i = first; i < last; i += lanes * per_block) {
      make_blocks(state, state.position + static_cast<std::uint64_t>(i / per_block), words);
      f(words, i, std::min(lanes * per_block, last - i));
    }
  });
}

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
    const float unit = static_cast<float>(static_cast<std::int32_t>(words[i] >> 8)) * 0x1p-24f;
    out[i] = below(low + unit * width, low, high);
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

template <typename T>
void fill(Distribution distribution, const RandomState& state, T* out, std::int64_t count, double a,
          double b) {
  for_each_blocks(state, count, per_block(dtype_of<T>),
                  [=](const std::uint32_t* words, std::int64_t i, auto n) {
                    distribution == Distribution::uniform ? uniform(words, out + i, n, a, b)
                                                          : normal(words, out + i, n, a, b);
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
