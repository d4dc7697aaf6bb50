// One product of matrices on the CPU: the seam behind which the installed BLAS or Eigen works.
#pragma once

#include <cstdint>

namespace tutti::kernels {

// c [m, n] = a b + beta c, row-major with rows lda, ldb, ldc apart; a transposed operand is stored as [k, m],
// [n, k]. All sizes are at least 1.
template <typename T>
void gemm(bool a_transposed, bool b_transposed, std::int64_t m, std::int64_t n, std::int64_t k, const T* a,
          std::int64_t lda, const T* b, std::int64_t ldb, T beta, T* c, std::int64_t ldc);

extern template void gemm<float>(bool, bool, std::int64_t, std::int64_t, std::int64_t, const float*,
                                 std::int64_t, const float*, std::int64_t, float, float*, std::int64_t);
extern template void gemm<double>(bool, bool, std::int64_t, std::int64_t, std::int64_t, const double*,
                                  std::int64_t, const double*, std::int64_t, double, double*, std::int64_t);

}  // namespace tutti::kernels
