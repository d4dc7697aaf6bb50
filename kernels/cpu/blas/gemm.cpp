// The installed BLAS, by its Fortran names, which every BLAS has.
#include "kernels/gemm.h"

#include <fmt/format.h>

#include <limits>

#include "tutti/core/error.h"

extern "C" {
void sgemm_(const char*, const char*, const int*, const int*, const int*, const float*, const float*,
            const int*, const float*, const int*, const float*, float*, const int*);
void dgemm_(const char*, const char*, const int*, const int*, const int*, const double*, const double*,
            const int*, const double*, const int*, const double*, double*, const int*);
[[gnu::weak]] void openblas_set_num_threads(int);
}

namespace tutti::kernels {
namespace {

// The threads that share a product call it for a tile each. OpenBLAS would start one a core for each of them.
void use_one_thread() {
  static const bool told = [] {
    if (openblas_set_num_threads) openblas_set_num_threads(1);
    return true;
  }();
  static_cast<void>(told);
}

int blas_int(std::int64_t value) {
  if (value > std::numeric_limits<int>::max()) {
    throw ShapeError(fmt::format("matmul: the BLAS takes sizes up to 2^31 - 1, got {}", value));
  }
  return static_cast<int>(value);
}

}  // namespace

template <typename T>
void gemm_tile(const Gemm<T>& x) {
  use_one_thread();
  // Fortran sees a row-major matrix as its transpose: c^T = b^T a^T.
  const char ta = x.a_transposed ? 'T' : 'N';
  const char tb = x.b_transposed ? 'T' : 'N';
  const int m = blas_int(x.m), n = blas_int(x.n), k = blas_int(x.k);
  const int lda = blas_int(x.lda), ldb = blas_int(x.ldb), ldc = blas_int(x.ldc);
  if constexpr (sizeof(T) == 4) {
    sgemm_(&tb, &ta, &n, &m, &k, &x.alpha, x.b, &ldb, x.a, &lda, &x.beta, x.c, &ldc);
  } else {
    dgemm_(&tb, &ta, &n, &m, &k, &x.alpha, x.b, &ldb, x.a, &lda, &x.beta, x.c, &ldc);
  }
}

template void gemm_tile<float>(const Gemm<float>&);
template void gemm_tile<double>(const Gemm<double>&);

}  // namespace tutti::kernels
