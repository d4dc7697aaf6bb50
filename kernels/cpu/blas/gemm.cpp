// The installed BLAS, by its Fortran names, which every BLAS has.
#include "kernels/gemm.h"

#include <fmt/format.h>

#include <atomic>
#include <cstdlib>
#include <limits>

#include "kernels/slow_blas.h"
#include "tutti/core/error.h"
#include "tutti/core/logging.h"

extern "C" {
void sgemm_(const char*, const char*, const int*, const int*, const int*, const float*, const float*,
            const int*, const float*, const int*, const float*, float*, const int*);
void dgemm_(const char*, const char*, const int*, const int*, const int*, const double*, const double*,
            const int*, const double*, const int*, const double*, double*, const int*);
[[gnu::weak]] void openblas_set_num_threads(int);
[[gnu::weak]] int openblas_get_parallel(void);
[[gnu::weak]] char* openblas_get_corename(void);
[[gnu::weak]] int bli_arch_query_id(void);
[[gnu::weak]] const char* bli_arch_string(int);
[[gnu::weak]] void omp_set_num_threads(int);
[[gnu::weak]] int omp_get_max_threads(void);
}

namespace tutti::kernels {
namespace {

// The processor that its kernels are for, where it tells.
std::string_view core_name() {
  if (openblas_get_corename) return openblas_get_corename();
  if (bli_arch_query_id && bli_arch_string) return bli_arch_string(bli_arch_query_id());
  return {};
}

void warn_once() {
#ifdef __x86_64__
  static constinit std::atomic<bool> warned = false;
  const auto warning = slow_blas(core_name(), bool(__builtin_cpu_supports("avx2")),
                                 bool(__builtin_cpu_supports("avx512f")), std::getenv("OPENBLAS_CORETYPE"));
  if (!warning.empty() && !warned.exchange(true)) logging::write(logging::Level::warning, warning);
#endif
}

// Before the first product. Two threads may do it at once, but none goes on before it is done: OpenBLAS would take as many
// threads as there are cores for its product, and cut it in another way.
void prepare() {
  static constinit std::atomic<bool> prepared = false;
  if (prepared.load(std::memory_order_acquire)) return;
  const bool by_openmp = openblas_get_parallel && openblas_get_parallel() == 2;
  if (openblas_set_num_threads && !by_openmp) openblas_set_num_threads(1);
  warn_once();
  prepared.store(true, std::memory_order_release);
}

// The threads that share a product call it for a tile each. A BLAS with threads of its own, or with OpenMP's, which are counted for
// each thread by itself, would start one a core for each of them.
class OneThread {
 public:
  OneThread() {
    prepare();
    if (!omp_set_num_threads || !omp_get_max_threads) return;
    former_ = omp_get_max_threads();
    if (former_ > 1) omp_set_num_threads(1);
  }
  ~OneThread() {
    if (former_ > 1) omp_set_num_threads(former_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int former_ = 1;
};

int blas_int(std::int64_t value) {
  if (value > std::numeric_limits<int>::max()) {
    throw ShapeError(fmt::format("matmul: the BLAS takes sizes up to 2^31 - 1, got {}", value));
  }
  return static_cast<int>(value);
}

}  // namespace

template <typename T>
void gemm_tile(const Gemm<T>& x) {
  const OneThread one;
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
