// Several elements at a time: a warp that loads 16 bytes a lane reaches the bandwidth of the memory, one that loads 2 does not.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/cuda/grid.cuh"
#include "tutti/core/dtype.h"

namespace tutti::kernels {

// What arithmetic on T is done in: f32 for bf16 and f16.
template <typename T>
using Arithmetic = std::conditional_t<sizeof(T) == 2, float, T>;

// `n` neighbours, loaded and stored as one. n * sizeof(T) is 1, 2, 4, 8 or 16.
template <typename T, int n>
struct alignas(n * sizeof(T)) Pack {
  T at[n];
};

// How many elements fill 16 bytes.
template <typename T>
inline constexpr int in_16_bytes = 16 / sizeof(T);

template <int n, typename T>
__device__ Pack<T, n> load_pack(const T* from) {
  expect_aligned(from, sizeof(Pack<T, n>));
  return *reinterpret_cast<const Pack<T, n>*>(from);
}
template <typename T, int n>
__device__ void store_pack(T* to, const Pack<T, n>& values) {
  expect_aligned(to, sizeof(Pack<T, n>));
  *reinterpret_cast<Pack<T, n>*>(to) = values;
}

// n neighbours that may be more than 16 bytes.
template <int n, typename C>
__device__ Pack<C, n> load_wide(const C* from) {
  constexpr int m = n < in_16_bytes<C> ? n : in_16_bytes<C>;
  Pack<C, n> result;
#pragma unroll
  for (int i = 0; i < n; i += m) {
    const Pack<C, m> part = load_pack<m>(from + i);
#pragma unroll
    for (int k = 0; k < m; ++k) result.at[i + k] = part.at[k];
  }
  return result;
}

template <typename C, int n>
__device__ void store_wide(C* to, const Pack<C, n>& values) {
  constexpr int m = n < in_16_bytes<C> ? n : in_16_bytes<C>;
#pragma unroll
  for (int i = 0; i < n; i += m) {
    Pack<C, m> part;
#pragma unroll
    for (int k = 0; k < m; ++k) part.at[k] = values.at[i + k];
    store_pack(to + i, part);
  }
}

// Whether packs of `n` can be had from each of the rows of `columns` elements that begin at each of `pointers`; null ones
// don't count.
template <int n, typename... T>
bool fits_packs(std::int64_t columns, const T*... pointers) {
  return columns % n == 0 && ((std::bit_cast<std::uintptr_t>(pointers) % (n * sizeof(T)) == 0) && ...);
}

}  // namespace tutti::kernels
