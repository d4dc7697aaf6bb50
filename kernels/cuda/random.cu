// Random numbers of the CPU's bits: a thread makes the numbers of one block. Where the CPU rounds a product before it adds, this
// does too.
#include "kernels/random.h"

#include <algorithm>

#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/pack.cuh"
#include "kernels/philox.h"

namespace tutti::kernels {
namespace {

constexpr double two_pi = 6.28318530717958647692;
constexpr unsigned threads = 256;

struct Parameters {
  double a, b;
};

template <typename T>
__device__ T below(T value, T low, T high) {
  return value < high ? value : low;
}

__device__ double open_unit(std::uint32_t word) { return (word + 0.5) * 0x1p-32; }
__device__ double open_unit(std::uint32_t high, std::uint32_t low) {
  return (static_cast<double>(((std::uint64_t{high} << 32) | low) >> 12) + 0.5) * 0x1p-52;
}

__device__ void uniform(const Philox& block, float (&out)[4], const Parameters& p) {
  const auto low = static_cast<float>(p.a), high = static_cast<float>(p.b),
             width = static_cast<float>(p.b - p.a);
  for (int i = 0; i < 4; ++i)
    out[i] = below(__fadd_rn(low, __fmul_rn(random_unit(block.words[i]), width)), low, high);
}
__device__ void uniform(const Philox& block, double (&out)[2], const Parameters& p) {
  for (int i = 0; i < 2; ++i) {
    const auto bits = (std::uint64_t{block.words[2 * i]} << 32 | block.words[2 * i + 1]) >> 11;
    const double unit = static_cast<double>(bits) * 0x1p-53;
    out[i] = below(__dadd_rn(p.a, __dmul_rn(unit, p.b - p.a)), p.a, p.b);
  }
}

// G. E. P. Box and M. E. Muller, 1958.
template <typename T>
__device__ void normal_pair(double u, double v, T* out, const Parameters& p) {
  const double radius = p.b * sqrt(-2 * log(u));
  out[0] = static_cast<T>(p.a + radius * cos(two_pi * v));
  out[1] = static_cast<T>(p.a + radius * sin(two_pi * v));
}
__device__ void normal(const Philox& block, float (&out)[4], const Parameters& p) {
  for (int i = 0; i < 4; i += 2)
    normal_pair(open_unit(block.words[i]), open_unit(block.words[i + 1]), out + i, p);
}
__device__ void normal(const Philox& block, double (&out)[2], const Parameters& p) {
  const auto* w = block.words;
  normal_pair(open_unit(w[0], w[1]), open_unit(w[2], w[3]), out, p);
}

template <typename T, int n>
__device__ void bernoulli(const Philox& block, T (&out)[n], const Parameters& p) {
  for (int i = 0; i < n; ++i) out[i] = random_unit(block.words[i]) < static_cast<float>(p.a) ? T(1) : T(0);
}

template <typename T, int n, typename U>
__device__ void store(T* out, std::int64_t first, std::int64_t count, bool packs, const U (&values)[n]) {
  Pack<T, n> rounded;
  for (int i = 0; i < n; ++i) rounded.at[i] = static_cast<T>(values[i]);
  if (packs && first + n <= count) {
    store_pack(out + first, rounded);
  } else {
    for (int i = 0; i < n; ++i)
      if (first + i < count) out[first + i] = rounded.at[i];
  }
}

template <Distribution distribution, typename T>
__global__ void random_kernel(RandomState given, T* out, std::int64_t count, bool packs, Parameters p) {
  constexpr int n = per_block(dtype_of<T>);
  const RandomState state = given.now();
  const std::int64_t step = std::int64_t{gridDim.x} * threads;
  for (std::int64_t i = std::int64_t{blockIdx.x} * threads + threadIdx.x; i * n < count; i += step) {
    const Philox block(state.seed, state.stream, state.position + static_cast<std::uint64_t>(i));
    Arithmetic<T> values[n];
    if constexpr (distribution == Distribution::uniform) {
      uniform(block, values, p);
    } else if constexpr (distribution == Distribution::normal) {
      normal(block, values, p);
    } else {
      bernoulli(block, values, p);
    }
    store(out, i * n, count, packs, values);
  }
}

__global__ void random_int_kernel(RandomState given, std::int64_t* out, std::int64_t count, bool packs,
                                  std::uint64_t range, std::int64_t low) {
  const RandomState state = given.now();
  const std::int64_t step = std::int64_t{gridDim.x} * threads;
  for (std::int64_t i = std::int64_t{blockIdx.x} * threads + threadIdx.x; i * 4 < count; i += step) {
    const Philox block(state.seed, state.stream, state.position + static_cast<std::uint64_t>(i));
    std::int64_t values[4];
    for (int k = 0; k < 4; ++k) values[k] = low + static_cast<std::int64_t>((block.words[k] * range) >> 32);
    store(out, i * 4, count, packs, {values[0], values[1]});
    store(out, i * 4 + 2, count, packs, {values[2], values[3]});
  }
}

// Enough to fill every GPU several times over; threads then go round.
unsigned blocks_for(std::int64_t threads_of_all) {
  return static_cast<unsigned>(std::min<std::int64_t>((threads_of_all + threads - 1) / threads, 1 << 16));
}

}  // namespace

void Random::cuda(Distribution distribution, const RandomState& state, DType dtype, void* data,
                  std::int64_t count, double a, double b) {
  if (count == 0) return;
  visit_dtype(dtype, [&]<typename T>() {
    if constexpr (!std::is_integral_v<T>) {
      constexpr int n = per_block(dtype_of<T>);
      auto* out = static_cast<T*>(data);
      const auto kernel = distribution == Distribution::uniform  ? random_kernel<Distribution::uniform, T>
                          : distribution == Distribution::normal ? random_kernel<Distribution::normal, T>
                                                                 : random_kernel<Distribution::bernoulli, T>;
      run(name, kernel, {blocks_for((count + n - 1) / n), threads}, state, out, count, fits_packs<n>(n, out),
          Parameters{a, b});
    }
  });
}

void RandomInt::cuda(const RandomState& state, std::int64_t* out, std::int64_t count, std::uint64_t range,
                     std::int64_t low) {
  if (count == 0) return;
  run(name, random_int_kernel, {blocks_for((count + 3) / 4), threads}, state, out, count,
      fits_packs<2>(2, out), range, low);
}

}  // namespace tutti::kernels
