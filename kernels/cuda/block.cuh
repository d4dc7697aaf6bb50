// What the threads of a warp or a block do together, in a fixed order: sums have the same bits run after run.
#pragma once

#include <cstdint>
#include <limits>

#include "kernels/cuda/grid.cuh"

namespace tutti::kernels {

inline constexpr unsigned all_lanes = 0xffffffffu;

__device__ inline unsigned lane_of_warp() { return threadIdx.x % 32; }

// Folds `value` over `width` neighbouring lanes, a power of two up to 32; all of them get the result. Each step takes
// op(own, other), and `op` is commutative, so that they all have the same bits.
template <int width = 32, typename T, typename Op>
__device__ T reduce_lanes(T value, Op op) {
#pragma unroll
  for (int step = width / 2; step > 0; step /= 2) value = op(value, __shfl_xor_sync(all_lanes, value, step));
  return value;
}

// Folds over each `team` neighbouring threads of a block of `threads`, both multiples of 32; all of a team get its result.
template <int threads, int team, typename T, typename Op>
__device__ T reduce_part(T value, Op op) {
  static_assert(team % 32 == 0 && threads % team == 0 && threads <= 1024);
  constexpr int warps = team / 32;
  value = reduce_lanes(value, op);
  if constexpr (warps == 1) return value;
  struct Partial {
    T of_warp[threads / 32];
  };
  auto& partial = shared<Partial>();
  __syncthreads();  // those of an earlier call have been read
  if (lane_of_warp() == 0) partial.of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  const int first = static_cast<int>(threadIdx.x) / team * warps;
  T result = partial.of_warp[first];
#pragma unroll
  for (int i = 1; i < warps; ++i) result = op(result, partial.of_warp[first + i]);
  return result;
}

// Folds over the block, blockDim.x = `threads` threads, a multiple of 32; all of them get the result.
template <int threads, typename T, typename Op>
__device__ T reduce_block(T value, Op op) {
  return reduce_part<threads, threads>(value, op);
}

// Folds f(first), f(first + 1), ... of a thread, `count` of them, a power of two, halves first: places in arrays are known
// when compiling, so these stay in registers.
template <int count, int first = 0, typename F, typename Op>
__device__ auto fold_halves(F f, Op op) {
  if constexpr (count == 1) {
    return f(first);
  } else {
    return op(fold_halves<count / 2, first>(f, op), fold_halves<count / 2, first + count / 2>(f, op));
  }
}

// What is folded, and what changes nothing in it.
struct Sum {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
  template <typename T>
  __device__ static T neutral() {
    return T(0);
  }
};
struct Largest {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a > b || a != a ? a : b;  // keeps NaN
  }
  template <typename T>
  __device__ static T neutral() {
    using Limits = std::numeric_limits<T>;
    return Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
  }
};
struct Smallest {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a < b || a != a ? a : b;
  }
  template <typename T>
  __device__ static T neutral() {
    using Limits = std::numeric_limits<T>;
    return Limits::has_infinity ? Limits::infinity() : Limits::max();
  }
};

}  // namespace tutti::kernels
