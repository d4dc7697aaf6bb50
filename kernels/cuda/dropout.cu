// One pass over x; the numbers of a block are made where they are needed.
#include "kernels/dropout.h"

#include <algorithm>

#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/pack.cuh"
#include "kernels/philox.h"

namespace tutti::kernels {
namespace {

constexpr unsigned threads = 256;

// A thread takes the elements of `blocks` blocks at a time, 16 bytes or more where packs fit.
template <typename T, bool packs>
__global__ void dropout_kernel(RandomState given, const T* x, T* out, std::int64_t count, float keep,
                               Arithmetic<T> scale) {
  using C = Arithmetic<T>;
  const RandomState state = given.now();
  constexpr int blocks = packs && sizeof(T) == 2 ? 2 : 1, n = 4 * blocks,
                of_pack = packs ? in_16_bytes<T> : 1;
  const std::int64_t step = std::int64_t{gridDim.x} * threads;
  for (std::int64_t i = std::int64_t{blockIdx.x} * threads + threadIdx.x; i * n < count; i += step) {
    T values[n];
    const bool whole = i * n + n <= count;
    if (whole) {
#pragma unroll
      for (int k = 0; k < n; k += of_pack) {
        const auto pack = load_pack<of_pack>(x + i * n + k);
#pragma unroll
        for (int e = 0; e < of_pack; ++e) values[k + e] = pack.at[e];
      }
    } else {
#pragma unroll
      for (int k = 0; k < n; ++k)
        if (i * n + k < count) values[k] = x[i * n + k];
    }
#pragma unroll
    for (int b = 0; b < blocks; ++b) {
      const Philox block(state.seed, state.stream,
                         state.position + static_cast<std::uint64_t>(i * blocks + b));
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        const C mask = random_unit(block.words[k]) < keep ? C(1) : C(0);
        values[4 * b + k] = static_cast<T>(static_cast<C>(values[4 * b + k]) * mask * scale);
      }
    }
    if (whole) {
#pragma unroll
      for (int k = 0; k < n; k += of_pack) {
        Pack<T, of_pack> pack;
#pragma unroll
        for (int e = 0; e < of_pack; ++e) pack.at[e] = values[k + e];
        store_pack(out + i * n + k, pack);
      }
    } else {
#pragma unroll
      for (int k = 0; k < n; ++k)
        if (i * n + k < count) out[i * n + k] = values[k];
    }
  }
}

}  // namespace

void Dropout::cuda(DType dtype, const RandomState& state, const void* from, void* to, std::int64_t count,
                   double keep, double scale) {
  if (count == 0) return;
  visit_dtype(dtype, [&]<typename T>() {
    if constexpr (!std::is_integral_v<T>) {
      const auto* x = static_cast<const T*>(from);
      auto* out = static_cast<T*>(to);
      const bool packs = fits_packs<in_16_bytes<T>>(0, x, out);
      const std::int64_t in_block = std::int64_t{threads} * (packs && sizeof(T) == 2 ? 8 : 4);
      const auto blocks =
          static_cast<unsigned>(std::min<std::int64_t>((count + in_block - 1) / in_block, 1 << 16));
      run(name, packs ? dropout_kernel<T, true> : dropout_kernel<T, false>, {blocks, threads}, state, x, out,
          count, static_cast<float>(keep), static_cast<Arithmetic<T>>(scale));
    }
  });
}

}  // namespace tutti::kernels
