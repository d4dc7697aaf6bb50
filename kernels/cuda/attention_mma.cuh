// Products of tiles for attention on tensor cores. A tile lies in shared memory, its rows of D elements of 16 bits; results lie
// in registers, 16 m rows a warp, as mma gives them: c[i][j] is of rows 16 i.. and columns 8 j...
#pragma once

#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/ptx.cuh"

namespace tutti::kernels {

// Rows are 128 or 256 bytes apart; of the eight 16-byte pieces of 128 bytes, row r has piece i in place i ^ r % 8, so that a
// matrix of ldmatrix, one piece of each of eight rows, lies in all banks. Begins at a multiple of 128 bytes.
template <typename T, int D>
struct Tile {
  static_assert(sizeof(T) == 2 && D % 16 == 0 && D <= 128);
  static constexpr int row_size = D <= 64 ? 64 : 128;
  static constexpr int pieces = row_size / 8;  // of a row, those behind D unused
  T* data;

  __device__ T* at(int row, int piece) const { return data + row * row_size + (piece ^ row % 8) * 8; }
  // The one behind `rows` rows of this one.
  __device__ Tile behind(int rows) const { return {data + rows * row_size}; }
};

// The matrices of 16 rows and two pieces, the 16 i-th rows and the 2 k-th pieces away from `lane_at`, where the lane's row
// of the first is.
template <typename T, int D>
__device__ __forceinline__ void load_matrices(unsigned (&to)[4], Tile<T, D>, const T* lane_at, int i, int k) {
  ldmatrix_x4(to, lane_at, k % 4 * 32, i * 16 * Tile<T, D>::row_size * 2 + k / 4 * 128);
}
template <typename T, int D>
__device__ __forceinline__ void load_transposed(unsigned (&to)[4], Tile<T, D>, const T* lane_at, int i,
                                                int k) {
  ldmatrix_x4_trans(to, lane_at, k % 4 * 32, i * 16 * Tile<T, D>::row_size * 2 + k / 4 * 128);
}

// Starts copying rows first.. to the tile; what the matrix has not is 0.
template <int rows, int threads, typename T, int D>
__device__ __forceinline__ void copy_tile(const Tile<T, D> to, const Rows<T>& from, int first) {
  constexpr int pieces = Tile<T, D>::pieces, step = threads / pieces;  // rows at a time
  static_assert(rows % step == 0 && step % 8 == 0);
  const int thread = fresh(static_cast<int>(threadIdx.x)), row = thread / pieces, piece = thread % pieces;
  if (piece >= D / 8) return;
  const int left = piece * 8 < from.width ? from.count - first - row : 0;
  const T* source = from.at(first + row) + piece * 8;
  T* const at = to.at(row, piece);
#pragma unroll
  for (int i = 0; i < rows / step; ++i, source += from.ld * step)
    cp_async_16(at + i * step * Tile<T, D>::row_size, source, i * step < left);
}

template <int m, int n>
using Product = float[m][n / 8][4];
template <int m, int n>
using Operand16 = unsigned[m][n / 16][4];

// c += a b^T of 16 m rows of `a` from `row` on and n of `b`.
template <int m, int n, typename T, int D>
__device__ __forceinline__ void multiply_transposed(Product<m, n>& c, const Tile<T, D> a, int row,
                                                    const Tile<T, D> b) {
  const int lane = fresh(static_cast<int>(lane_of_warp()));
  const T* const of_a = a.at(row + lane % 16, lane / 16);
  const T* const of_b = b.at(lane / 16 * 8 + lane % 8, lane / 8 % 2);
#pragma unroll
  for (int k = 0; k < D / 16; ++k) {
    unsigned x[m][4];
#pragma unroll
    for (int i = 0; i < m; ++i) load_matrices(x[i], a, of_a, i, k);
#pragma unroll
    for (int j = 0; j < n / 16; ++j) {
      unsigned y[4];
      load_matrices(y, b, of_b, j, k);
#pragma unroll
      for (int i = 0; i < m; ++i) {
        mma_m16n8k16<T>(c[i][2 * j], x[i], y[0], y[1]);
        mma_m16n8k16<T>(c[i][2 * j + 1], x[i], y[2], y[3]);
      }
    }
  }
}

// c += a b of the n rows of `b`.
template <int m, int n, typename T, int D>
__device__ __forceinline__ void multiply(Product<m, D>& c, const Operand16<m, n>& a, const Tile<T, D> b) {
  const int lane = fresh(static_cast<int>(lane_of_warp()));
  const T* const of_b = b.at(lane % 16, lane / 16);
#pragma unroll
  for (int k = 0; k < n / 16; ++k) {
#pragma unroll
    for (int j = 0; j < D / 16; ++j) {
      unsigned y[4];
      load_transposed(y, b, of_b, k, j);
#pragma unroll
      for (int i = 0; i < m; ++i) {
        mma_m16n8k16<T>(c[i][2 * j], a[i][k], y[0], y[1]);
        mma_m16n8k16<T>(c[i][2 * j + 1], a[i][k], y[2], y[3]);
      }
    }
  }
}

// A product as the left operand of the next one: a lane has the elements that it needs.
template <typename T, int m, int n>
__device__ __forceinline__ void rounded(Operand16<m, n>& to, const Product<m, n>& c) {
#pragma unroll
  for (int i = 0; i < m; ++i) {
#pragma unroll
    for (int k = 0; k < n / 16; ++k) {
#pragma unroll
      for (int e = 0; e < 4; ++e)
        to[i][k][e] = packed<T>(c[i][2 * k + e / 2][e % 2 * 2], c[i][2 * k + e / 2][e % 2 * 2 + 1]);
    }
  }
}

// c, its rows times `factor`, to rows first.. of a matrix, by way of the tile's rows from `row` on, which are this warp's own:
// whole lines go out.
template <int m, typename T, int D>
__device__ __forceinline__ void store_rows(const Rows<T>& to, int first, const Product<m, D>& c,
                                           const float (&factor)[m][2], const Tile<T, D> tile, int row) {
  const int lane = static_cast<int>(lane_of_warp());
  __syncwarp();
#pragma unroll
  for (int i = 0; i < m; ++i) {
#pragma unroll
    for (int j = 0; j < D / 8; ++j) {
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        T* const at = tile.at(row + 16 * i + lane / 4 + 8 * e, j) + lane % 4 * 2;
        const unsigned both = packed<T>(factor[i][e] * c[i][j][2 * e], factor[i][e] * c[i][j][2 * e + 1]);
        store_pack(at, std::bit_cast<Pack<T, 2>>(both));
      }
    }
  }
  __syncwarp();
  constexpr int pieces = D / 8;
#pragma unroll
  for (int p = lane; p < 16 * m * pieces; p += 32) {
    const int r = p / pieces, piece = p % pieces;
    if (first + r < to.count && piece * 8 < to.width)
      store_pack(to.at(first + r) + piece * 8, load_pack<8>(tile.at(row + r, piece)));
  }
}

}  // namespace tutti::kernels
