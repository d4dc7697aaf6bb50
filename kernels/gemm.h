// One product of matrices on the CPU: the seam behind which the installed BLAS or Eigen works.
#pragma once

#include <cstdint>

namespace tutti::kernels {

// c [m, n] = alpha a b + beta c, row-major with rows lda, ldb, ldc apart; a transposed operand is stored as [k, m],
// [n, k]. Of no rows or no columns nothing is done; k is at least 1.
template <typename T>
struct Gemm {
  bool a_transposed = false, b_transposed = false;
  std::int64_t m, n, k;
  const T* a;
  std::int64_t lda;
  const T* b;
  std::int64_t ldb;
  T beta = 0;
  T* c;
  std::int64_t ldc;
  T alpha = 1;
};

// A product is cut into tiles of c whose sizes follow from its own alone, and the threads share those: its bits do not
// depend on how many there are.
struct GemmTiles {
  std::int64_t rows, columns;  // of a tile
  std::int64_t down, across;   // tiles
};
GemmTiles tiles_of(std::int64_t m, std::int64_t n, std::int64_t k);

template <typename T>
void gemm(const Gemm<T>& product);

// By the library, on this thread.
template <typename T>
void gemm_tile(const Gemm<T>& product);

extern template void gemm<float>(const Gemm<float>&);
extern template void gemm<double>(const Gemm<double>&);
extern template void gemm_tile<float>(const Gemm<float>&);
extern template void gemm_tile<double>(const Gemm<double>&);

}  // namespace tutti::kernels
