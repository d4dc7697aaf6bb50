// Matrix products, by the installed BLAS, Eigen or cuBLASLt.
#pragma once

#include <cstdint>

#include "kernels/launch.h"
#include "tutti/core/dtype.h"

namespace tutti::kernels {

// out = a b + beta * out, for a batch. a is [m, k], or stored as [k, m] when `a_transposed`; `lda` is the
// distance of the stored rows, `*_batch` of two matrices, in elements. `out` has rows of n elements, `ldo`
// apart.
struct MatmulArgs {
  DType dtype;  // f32 or f64; bf16 and f16 are converted above
  std::int64_t batch, m, n, k;
  const void* a;
  std::int64_t lda, a_batch;
  bool a_transposed;
  const void* b;
  std::int64_t ldb, b_batch;
  bool b_transposed;
  void* out;
  std::int64_t ldo, out_batch;
  double beta = 0;
};

struct Matmul {
  static constexpr const char* name = "matmul";
  static void cpu(const MatmulArgs& args);
  static void cuda(const MatmulArgs& args);
};

}  // namespace tutti::kernels
