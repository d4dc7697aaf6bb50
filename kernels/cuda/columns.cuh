// Folds the columns of matrices [outer, rows, inner]: threads that lie beside each other have neighbouring columns, groups
// of them share the rows, and blocks share long columns by parts whose results are columns again. The tree hangs on
// the sizes alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/pack.cuh"
#include "kernels/cuda/workspace.h"
#include "tutti/core/error.h"

namespace tutti::kernels {

inline constexpr int column_threads = 256;

struct ColumnShares {
  std::int64_t outer, rows, inner;
  std::int64_t tiles, parts, rows_of_part;
  int lanes;

  ColumnShares(std::int64_t outer_, std::int64_t rows_, std::int64_t inner_, int n)
      : outer(outer_), rows(rows_), inner(inner_) {
    const std::int64_t packs = inner / n;
    lanes = packs <= 8 ? 8 : rows <= 16 && packs >= 128 ? 128 : 32;
    tiles = (packs + lanes - 1) / lanes;
    // Of a thread: as many as leave work for every GPU's processors, in eights.
    std::int64_t each = 64;
    const std::int64_t groups = column_threads / lanes;
    while (each > 8 && outer * tiles * (rows / (each * groups)) < 1024) each /= 2;
    rows_of_part = each * groups;
    parts = (rows + rows_of_part - 1) / rows_of_part;
  }
};

// Elements of a contiguous [outer, rows, inner].
template <typename C, typename T>
struct ColumnsOf {
  const T* x;

  template <int n>
  __device__ Pack<C, n> load(const ColumnShares& of, std::int64_t outer, std::int64_t row,
                             std::int64_t column) const {
    const auto from = load_pack<n>(x + (outer * of.rows + row) * of.inner + column);
    Pack<C, n> result;
#pragma unroll
    for (int k = 0; k < n; ++k) result.at[k] = static_cast<C>(from.at[k]);
    return result;
  }
};

template <typename C, int n, typename Op, typename Columns, typename O>
__global__ __launch_bounds__(column_threads) void fold_columns_kernel(const ColumnShares of, Op op,
                                                                      Columns columns, O* out) {
  constexpr int at_once = 8;
  const int lanes = of.lanes, groups = column_threads / lanes;
  const int lane = static_cast<int>(threadIdx.x) % lanes, group = static_cast<int>(threadIdx.x) / lanes;
  const std::int64_t tile = blockIdx.x % of.tiles, matrix = blockIdx.x / of.tiles;  // of outer * parts
  const std::int64_t outer = matrix / of.parts, part = matrix - outer * of.parts;
  const std::int64_t column = (tile * lanes + lane) * n;
  const std::int64_t end = min((part + 1) * of.rows_of_part, of.rows);
  C total[n];
#pragma unroll
  for (int k = 0; k < n; ++k) total[k] = op.template neutral<C>();
  if (column < of.inner) {
    for (std::int64_t row = part * of.rows_of_part + group; row < end; row += at_once * groups) {
      Pack<C, n> at[at_once];
#pragma unroll
      for (int i = 0; i < at_once; ++i) {
        if (row + i * groups < end) {
          at[i] = columns.template load<n>(of, outer, row + i * groups, column);
        } else {
#pragma unroll
          for (int k = 0; k < n; ++k) at[i].at[k] = op.template neutral<C>();
        }
      }
#pragma unroll
      for (int k = 0; k < n; ++k) {
        total[k] = op(total[k], fold_halves<at_once>([&](int i) { return at[i].at[k]; }, op));
      }
    }
  }
  struct Totals {
    C at[n][column_threads];
  };
  auto& totals = shared<Totals>();
  for (int half = groups; half > 0; half /= 2) {
    if (half < groups && group < half) {
#pragma unroll
      for (int k = 0; k < n; ++k) total[k] = op(total[k], totals.at[k][threadIdx.x + half * lanes]);
    }
    if (group >= half / 2 && group < half) {
#pragma unroll
      for (int k = 0; k < n; ++k) totals.at[k][threadIdx.x] = total[k];
    }
    __syncthreads();
  }
  if (group == 0 && column < of.inner) {
    out += matrix * of.inner + column;
#pragma unroll
    for (int k = 0; k < n; ++k) out[k] = static_cast<O>(total[k]);
  }
}

// out [outer, inner] = the fold of `columns` [outer, rows, inner], which are loaded by packs of n: n divides inner.
template <typename C, int n, typename Op, typename Columns, typename O>
void fold_columns(const char* name, Op op, const Columns& columns, O* out, std::int64_t outer,
                  std::int64_t rows, std::int64_t inner) {
  const ColumnShares shares(outer, rows, inner, n);
  const std::int64_t all = outer * shares.parts * shares.tiles;
  if (all >> 31 != 0) throw ShapeError(std::string(name) + ": more than 2^31 - 1 blocks of columns");
  const auto blocks = static_cast<unsigned>(all);
  if (shares.parts == 1) {
    run(name, fold_columns_kernel<C, n, Op, Columns, O>, {blocks, column_threads}, shares, op, columns, out);
    return;
  }
  const DeviceWorkspace parts(static_cast<std::size_t>(outer * shares.parts * inner) * sizeof(C));
  run(name, fold_columns_kernel<C, n, Op, Columns, C>, {blocks, column_threads}, shares, op, columns,
      parts.template as<C>());
  fold_columns < C, n<in_16_bytes<C> ? n : in_16_bytes<C>>(name, op, ColumnsOf<C, C>{parts.template as<C>()},
                                                           out, outer, shares.parts, inner);
}

}  // namespace tutti::kernels
