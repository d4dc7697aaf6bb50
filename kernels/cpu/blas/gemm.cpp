// The installed BLAS, by its Fortran names, which every BLAS has.
#include "kernels/gemm.h"

#include <fmt/format.h>

#include <cstdlib>
#include <limits>
#include <string_view>

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

// Ranks are the parallelism: one thread each, unless the user says otherwise; OpenBLAS would start one a core. The bits
// of a product depend on the number, so OMP_NUM_THREADS, often the cores that each of N ranks can have, does not count.
// A build of OpenBLAS for OpenMP would read nothing else.
void settle_threads() {
  static const bool settled = [] {
    const char* asked = std::getenv("OPENBLAS_NUM_THREADS");
    if (openblas_set_num_threads && (!asked || std::string_view(asked) == "1")) openblas_set_num_threads(1);
    return true;
  }();
  static_cast<void>(settled);
}

int blas_int(std::int64_t value) {
  if (value > std::numeric_limits<int>::max()) {
    throw ShapeError(fmt::format("matmul: the BLAS takes sizes up to 2^31 - 1, got {}", value));
  }
  return static_cast<int>(value);
}

}  // namespace

template <typename T>
void gemm(bool a_transposed, bool b_transposed, std::int64_t m, std::int64_t n, std::int64_t k, const T* a,
          std::int64_t lda, const T* b, std::int64_t ldb, T beta, T* c, std::int64_t ldc) {
  settle_threads();
  // Fortran sees a row-major matrix as its transpose: c^T = b^T a^T.
  const char ta = a_transposed ? 'T' : 'N';
  const char tb = b_transposed ? 'T' : 'N';
  const int bm = blas_int(m), bn = blas_int(n), bk = blas_int(k);
  const int blda = blas_int(lda), bldb = blas_int(ldb), bldc = blas_int(ldc);
  const T one = 1;
  if constexpr (sizeof(T) == 4) {
    sgemm_(&tb, &ta, &bn, &bm, &bk, &one, b, &bldb, a, &blda, &beta, c, &bldc);
  } else {
    dgemm_(&tb, &ta, &bn, &bm, &bk, &one, b, &bldb, a, &blda, &beta, c, &bldc);
  }
}

template void gemm<float>(bool, bool, std::int64_t, std::int64_t, std::int64_t, const float*, std::int64_t,
                          const float*, std::int64_t, float, float*, std::int64_t);
template void gemm<double>(bool, bool, std::int64_t, std::int64_t, std::int64_t, const double*, std::int64_t,
                           const double*, std::int64_t, double, double*, std::int64_t);

}  // namespace tutti::kernels
