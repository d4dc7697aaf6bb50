// How a product of row-major matrices is put to cuBLASLt. Nothing here needs the library.
//
// It thinks in columns, where a row-major matrix is its own transpose: out = a b is computed as
// out^T = b^T a^T, with nothing moved. So
//   - cuBLASLt's A is our b, its B our a, its D our out; its D has n rows and m columns;
//   - b stored as [k, n] is to it A [n, k], just what it multiplies; b stored as [n, k] is A [k, n], which it
//     transposes. So the flags stay with their operands;
//   - a bias, of which it wants one element a row of D, has one of ours a column: n of them, as a linear layer's;
//   - BGRADB, which sums op(B) [k, m] over k to one element a column of D, gives the sums of our a's rows. For
//     the gradient g^T x of a linear layer's weight, those of g^T are the bias's gradient. BGRADA, of our b's
//     columns, would be right for x^T g;
//   - what GELU is of (AUX) lies as D does.
#pragma once

#include <compare>
#include <cstdint>

#include "kernels/matmul.h"

namespace tutti::kernels {

// As cublasLtEpilogue_t numbers them.
enum class LtEpilogue : std::uint32_t {
  none = 1,
  bias = 4,
  gelu = 32,
  gelu_bias = 36,
  gelu_aux = 160,
  gelu_aux_bias = 164,
  gelu_grad = 192,
  column_sums_b = 512
};

// A matrix as it is stored, column-major, and whether the product takes it transposed.
struct LtMatrix {
  std::int64_t rows, columns, ld, batch_stride;
  bool transposed;
  std::uint32_t alignment;  // bytes, at most 16

  auto operator<=>(const LtMatrix&) const = default;
};

// All that the choice of an algorithm hangs on, on one GPU.
struct LtProduct {
  DType dtype;
  bool tf32;
  std::int64_t batch;
  LtMatrix a, b, d;
  LtEpilogue epilogue;
  std::int64_t aux_ld;
  std::uint32_t vector_alignment, aux_alignment;

  auto operator<=>(const LtProduct&) const = default;
};

struct LtPlan {
  LtProduct product;
  const void *a, *b;
  void* d;
  void* vector;  // the bias, which is read, or its gradient, which is written
  void* aux;
};

LtPlan plan_product(const MatmulArgs& args);
LtPlan plan_product(const MatmulArgs& args, const MatmulEpilogue& epilogue);

// Whether to ask cuBLASLt for a product with this epilogue. What it needs: AUX in rows of a multiple of 8 elements,
// all addresses those of 16-byte loads. What is not asked of it: GELU in f32 and f64, of which it is not said how exact
// its tanh is, and sums but of 16 bits, which are to be in full precision under TF32 as well. Nor DGELU_BGRAD, whose
// sums go across blocks, in an order that is not said.
bool can_fuse(const MatmulArgs& args, const MatmulEpilogue& epilogue);

}  // namespace tutti::kernels
