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
  DType dtype;  // on a CPU f32 or f64: bf16 and f16 are converted above
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
  bool tf32 = false;  // operands of f32 may lose their last 13 bits
};

struct Matmul {
  static constexpr const char* name = "matmul";
  static void cpu(const MatmulArgs& args);
  static void cuda(const MatmulArgs& args);
};

// What a product does beside, on elements that it has at hand.
struct MatmulEpilogue {
  enum class Kind : std::uint8_t {
    bias,       // out = a b + bias
    gelu,       // out = gelu(a b + bias) in its tanh form; the bias may be missing
    gelu_grad,  // out = a b * gelu'(pre_gelu)
    row_sums    // out = a b, and sums over k of a's rows: in the gradient g^T x of a weight, its bias's
  };
  Kind kind;
  const void* bias = nullptr;  // [n]
  void* pre_gelu = nullptr;    // [m, n], dense: what the GELU is of, written by gelu where it is wanted
  void* row_sums = nullptr;    // [m]
};

// A product with an epilogue in one pass. False, and nothing is done, where there is no such pass: always on a
// CPU, elsewhere where the library has none that is exact enough.
struct FusedMatmul {
  static constexpr const char* name = Matmul::name;
  static bool cpu(const MatmulArgs&, const MatmulEpilogue&) { return false; }
  static bool cuda(const MatmulArgs& args, const MatmulEpilogue& epilogue);
};

}  // namespace tutti::kernels
