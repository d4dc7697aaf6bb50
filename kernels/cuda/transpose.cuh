// Copies to where other elements are neighbours, by tiles of shared memory: both sides go by whole lines.
#pragma once

#include <optional>

#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/layout.cuh"

namespace tutti::kernels {

inline constexpr int transpose_side = 32, transpose_rows = 8;

// Matrices [rows, columns]: neighbours lie along a row of `out`, and along a column of `x`.
struct Transposition {
  Layout<2> matrices;  // where they begin
  std::int64_t rows, columns, out_row, x_column;
  unsigned down, across;  // tiles

  // None where the operands 0 and 1 of a layout do not lie so, or a tile would be mostly empty.
  static std::optional<Transposition> of(const Layout<2>& layout) {
    const int inner = layout.rank() - 1;
    if (inner < 1 || layout.count() == 0 || layout.stride(0, inner) != 1 || layout.stride(1, inner) == 1)
      return std::nullopt;
    for (int d = 0; d < inner; ++d) {
      if (layout.stride(1, d) != 1 || layout.size(d) < 8 || layout.size(inner) < 8) continue;
      Transposition result{layout.without(d, inner),
                           layout.size(d),
                           layout.size(inner),
                           layout.stride(0, d),
                           layout.stride(1, inner),
                           0,
                           0};
      result.down = static_cast<unsigned>((result.rows + transpose_side - 1) / transpose_side);
      result.across = static_cast<unsigned>((result.columns + transpose_side - 1) / transpose_side);
      if (result.blocks() >> 31 != 0) return std::nullopt;
      return result;
    }
    return std::nullopt;
  }
  std::int64_t blocks() const { return matrices.count() * down * across; }
};

template <typename Word>
__global__ __launch_bounds__(transpose_side* transpose_rows) void transpose_kernel(
    const __grid_constant__ Transposition of, Word* out, const Word* x) {
  struct Tile {
    Word at[transpose_side][transpose_side + 1];  // columns lie in all banks
  };
  auto& tile = shared<Tile>();
  const unsigned place = blockIdx.x / of.across, matrix = place / of.down;
  const std::int64_t column = std::int64_t{blockIdx.x - place * of.across} * transpose_side,
                     row = std::int64_t{place - matrix * of.down} * transpose_side;
  const int lane = static_cast<int>(threadIdx.x) % transpose_side,
            first = static_cast<int>(threadIdx.x) / transpose_side;
  std::int64_t at[2];
  of.matrices.locate(matrix, at);
#pragma unroll
  for (int i = first; i < transpose_side; i += transpose_rows) {
    if (column + i < of.columns && row + lane < of.rows)
      tile.at[i][lane] = x[at[1] + (column + i) * of.x_column + row + lane];
  }
  __syncthreads();
#pragma unroll
  for (int i = first; i < transpose_side; i += transpose_rows) {
    if (row + i < of.rows && column + lane < of.columns)
      out[at[0] + (row + i) * of.out_row + column + lane] = tile.at[lane][i];
  }
}

}  // namespace tutti::kernels
