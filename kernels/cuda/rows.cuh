// Rows of a matrix, each the work of a team of threads: a part of a warp, a warp or a block. How a row is shared out
// hangs on its length alone, so that its result does not change with what else is computed.
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/pack.cuh"

namespace tutti::kernels {

// A thread holds `packs_` packs of `n_` neighbouring elements, which lie a team's width of packs apart. A row that is
// `held` is not longer than what a team holds: it is read once and kept in registers. Others are walked by pieces.
template <int n_, int packs_, int team_, bool held_>
struct RowPlan {
  static constexpr int n = n_, packs = packs_, team = team_;
  static constexpr bool held = held_;
  static constexpr int threads = team < 256 ? 256 : team;  // of a block
  static constexpr int rows = threads / team;              // of a block
  static constexpr int piece = team * packs * n;
  using Column = std::conditional_t<held, int, std::int64_t>;

  static unsigned blocks(std::int64_t all_rows) {
    return static_cast<unsigned>((all_rows + rows - 1) / rows);
  }
  __device__ static int lane() { return static_cast<int>(threadIdx.x) % team; }
  // Teams beyond the last row go through the motions with it: warps stay whole. They write nothing.
  __device__ static std::int64_t row() {
    return std::int64_t{blockIdx.x} * rows + static_cast<int>(threadIdx.x) / team;
  }
};

// Calls `f.template operator()<Plan>()` with the plan for rows of `columns` elements of T, `packed` where fits_packs says
// that packs of 16 bytes can be had, and registers hold rows of `operands` matrices, 1 or 2.
template <typename T, int operands, typename F>
void with_row_plan(std::int64_t columns, bool packed, F f) {
  constexpr int n = in_16_bytes<T>;
  if (packed) {
    if (columns <= 8 * 4 * n) return f.template operator()<RowPlan<n, 4, 8, true>>();
    if constexpr (n == 8) {  // 768 columns, the width of many models: fewer registers, more warps
      if (columns <= 32 * 3 * n) return f.template operator()<RowPlan<n, 3, 32, true>>();
    }
    if (columns <= 32 * 4 * n) return f.template operator()<RowPlan<n, 4, 32, true>>();
    if (columns <= 128 * 2 * n) return f.template operator()<RowPlan<n, 2, 128, true>>();
    if (columns <= 256 * 4 * n) return f.template operator()<RowPlan<n, 4, 256, true>>();
    constexpr int most = 4 / operands;  // a thread of so many has 64 registers
    if (columns <= 1024 * most * n) return f.template operator()<RowPlan<n, most, 1024, true>>();
    return f.template operator()<RowPlan<n, 4, 256, false>>();
  }
  if (columns <= 8 * 4) return f.template operator()<RowPlan<1, 4, 8, true>>();
  if (columns <= 32 * 16) return f.template operator()<RowPlan<1, 16, 32, true>>();
  f.template operator()<RowPlan<1, 8, 256, false>>();
}

// f(first column) for each piece of a row. All threads of a block take the same steps.
template <typename Plan, typename F>
__device__ void for_each_piece(typename Plan::Column columns, F f) {
  if constexpr (Plan::held) {
    f(typename Plan::Column{0});
  } else {
    for (typename Plan::Column first = 0; first < columns; first += Plan::piece) f(first);
  }
}

// What a thread has of a piece of a row. Whether it belongs to the row is asked once a pack: the row, of `end` columns, ends
// with one.
template <typename Plan, typename T>
struct Piece {
  static constexpr int n = Plan::n, packs = Plan::packs;
  using Column = typename Plan::Column;
  T at[packs][n];

  __device__ static Column column_of(Column first, int p) {
    return first + (p * Plan::team + Plan::lane()) * n;
  }

  // What lies behind the end becomes `fill`.
  template <typename U>
  __device__ void load(const U* row, Column first, Column end, T fill) {
#pragma unroll
    for (int p = 0; p < packs; ++p) {
      const Column column = column_of(first, p);
      if (column < end) {
        const Pack<U, n> from = load_pack<n>(row + column);
#pragma unroll
        for (int k = 0; k < n; ++k) at[p][k] = static_cast<T>(from.at[k]);
      } else {
#pragma unroll
        for (int k = 0; k < n; ++k) at[p][k] = fill;
      }
    }
  }
  template <typename U>
  __device__ void store(U* row, Column first, Column end) const {
#pragma unroll
    for (int p = 0; p < packs; ++p) {
      const Column column = column_of(first, p);
      if (column >= end) continue;
      Pack<U, n> to;
#pragma unroll
      for (int k = 0; k < n; ++k) to.at[k] = static_cast<U>(at[p][k]);
      store_pack(row + column, to);
    }
  }
  // Of a row that may end within a pack.
  __device__ void cut(Column first, Column end, T fill) {
#pragma unroll
    for (int p = 0; p < packs; ++p) {
#pragma unroll
      for (int k = 0; k < n; ++k) {
        if (column_of(first, p) + k >= end) at[p][k] = fill;
      }
    }
  }
};

// f(p, first column) for each of a thread's packs that belongs to a row of `end` columns.
template <typename Plan, typename F>
__device__ void for_each_pack(typename Plan::Column first, typename Plan::Column end, F f) {
#pragma unroll
  for (int p = 0; p < Plan::packs; ++p) {
    const auto column = Piece<Plan, float>::column_of(first, p);
    if (column < end) f(p, column);
  }
}

// Folds over the team; all of it gets the result.
template <typename Plan, typename C, typename Op>
__device__ C reduce_team(C value, Op op) {
  if constexpr (Plan::team <= 32) {
    return reduce_lanes<Plan::team>(value, op);
  } else {
    return reduce_part<Plan::threads, Plan::team>(value, op);
  }
}

// exp(x - less), as accurate as what it meets: where operands have 16 bits, it is a multiplication and a power of 2, which
// every element of a large vocabulary can afford.
template <typename T>
__device__ Arithmetic<T> exp_of(Arithmetic<T> x, Arithmetic<T> less = 0) {
  if constexpr (sizeof(T) == 2) {
    constexpr float log2_e = 1.44269504088896340736f;
    float power = fmaf(x, log2_e, -(less * log2_e));
#if defined(__CUDA_ARCH__)
    asm("ex2.approx.ftz.f32 %0, %0;" : "+f"(power));
#else
    power = exp2f(power);
#endif
    return power;
  } else {
    return exp(x - less);
  }
}

}  // namespace tutti::kernels
