// What nvcc knows of itself, for a C++ compiler: read before each source of kernels/cuda. Float atomics are left out on
// purpose, and shared memory is had by shared<T>() of kernels/cuda/block.cuh alone.
#pragma once

#include <math.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "tests/simt/engine.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __grid_constant__
#define __launch_bounds__(...)
#define __grid_constant__
#define threadIdx (::tutti::simt::thread().at)
#define blockIdx (::tutti::simt::place().block)
#define blockDim (::tutti::simt::place().threads)
#define gridDim (::tutti::simt::place().blocks)

using dim3 = tutti::simt::Dim3;

// clang-format off
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(16) int4 { int x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
// clang-format on

using std::max;
using std::min;

inline void __syncthreads() { tutti::simt::sync_block(); }
inline unsigned __ballot_sync(unsigned mask, bool vote) { return tutti::simt::ballot(mask, vote); }
inline int __any_sync(unsigned mask, bool vote) { return tutti::simt::ballot(mask, vote) != 0; }
inline int __all_sync(unsigned mask, bool vote) { return tutti::simt::ballot(mask, vote) == mask; }
inline void __syncwarp(unsigned mask = 0xffffffffu) { tutti::simt::ballot(mask, false); }

template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 16);
  const int lane = static_cast<int>(tutti::simt::thread().lane());
  T result;
  tutti::simt::exchange(mask, &value, sizeof value,
                        static_cast<unsigned>(lane / width * width + source % width), &result);
  return result;
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32) {
  const int lane = static_cast<int>(tutti::simt::thread().lane()), other = lane ^ lanes;
  T result;
  tutti::simt::exchange(mask, &value, sizeof value,
                        static_cast<unsigned>(other / width > lane / width ? lane : other), &result);
  return result;
}
// Lanes that would look past the end of their part keep what they have.
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32) {
  const unsigned lane = tutti::simt::thread().lane(), w = static_cast<unsigned>(width);
  T result;
  tutti::simt::exchange(mask, &value, sizeof value, lane % w + by < w ? lane + by : lane, &result);
  return result;
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32) {
  const unsigned lane = tutti::simt::thread().lane(), w = static_cast<unsigned>(width);
  T result;
  tutti::simt::exchange(mask, &value, sizeof value, lane % w >= by ? lane - by : lane, &result);
  return result;
}

// One block runs at a time, and its threads one after the other.
template <typename T>
T atomicAdd(T* at, std::type_identity_t<T> value) {
  static_assert(std::is_integral_v<T>, "float atomics give other bits each time");
  const T before = *at;
  *at = static_cast<T>(before + value);
  return before;
}
template <typename T>
T atomicMin(T* at, std::type_identity_t<T> value) {
  const T before = *at;
  *at = std::min(before, value);
  return before;
}
template <typename T>
T atomicMax(T* at, std::type_identity_t<T> value) {
  const T before = *at;
  *at = std::max(before, value);
  return before;
}
template <typename T>
T atomicCAS(T* at, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  const T before = *at;
  if (before == expected) *at = value;
  return before;
}
template <typename T>
T atomicExch(T* at, std::type_identity_t<T> value) {
  return std::exchange(*at, value);
}
inline void __threadfence() {}
inline void __threadfence_block() {}

template <typename T>
T __ldg(const T* at) {
  return *at;
}
template <typename T>
T __ldcs(const T* at) {
  return *at;
}
template <typename T>
void __stcs(T* at, T value) {
  *at = value;
}

inline int __popc(unsigned x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1; }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(std::uint64_t{a} * b >> 32); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float rsqrt(float x) { return 1.0f / std::sqrt(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __dadd_rn(double a, double b) { return a + b; }
