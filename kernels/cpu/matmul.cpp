#include "kernels/matmul.h"

#include "kernels/gemm.h"

namespace tutti::kernels {
namespace {

template <typename T>
void scale_rows(T* out, std::int64_t rows, std::int64_t columns, std::int64_t ld, T beta) {
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) out[i * ld + j] = beta == T(0) ? T(0) : beta * out[i * ld + j];
  }
}

template <typename T>
void multiply(const MatmulArgs& x) {
  const T* a = static_cast<const T*>(x.a);
  const T* b = static_cast<const T*>(x.b);
  T* out = static_cast<T*>(x.out);
  const T beta = static_cast<T>(x.beta);
  for (std::int64_t i = 0; i < x.batch; ++i, a += x.a_batch, b += x.b_batch, out += x.out_batch) {
    if (x.k == 0) {
      scale_rows(out, x.m, x.n, x.ldo, beta);
    } else {
      gemm<T>(x.a_transposed, x.b_transposed, x.m, x.n, x.k, a, x.lda, b, x.ldb, beta, out, x.ldo);
    }
  }
}

}  // namespace

void Matmul::cpu(const MatmulArgs& args) {
  if (args.m == 0 || args.n == 0) return;
  args.dtype == DType::f64 ? multiply<double>(args) : multiply<float>(args);
}

}  // namespace tutti::kernels
