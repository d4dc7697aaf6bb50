#include "kernels/cuda/lt_plan.h"

#include <algorithm>
#include <bit>

namespace tutti::kernels {
namespace {

using Kind = MatmulEpilogue::Kind;

// The largest power of two, up to the 16 bytes of a load, that divides an address and a distance in bytes.
std::uint32_t alignment_of(const void* data, std::uintptr_t distance = 0) {
  return std::uint32_t{1} << std::countr_zero(std::bit_cast<std::uintptr_t>(data) | distance | 16u);
}

bool is_aligned(const void* data) { return data == nullptr || alignment_of(data) >= 16; }

// Of `rows` rows of `columns` elements each, row-major. Views may begin at any element, and rows have any distance:
// algorithms that load several elements at once must not be chosen for them.
LtMatrix matrix(const MatmulArgs& p, const void* data, std::int64_t rows, std::int64_t columns,
                std::int64_t ld, std::int64_t batch_stride, bool transposed) {
  if (rows == 1) ld = columns;  // the distance of rows says nothing where there is one
  if (p.batch == 1) batch_stride = 0;
  const auto distance = static_cast<std::uintptr_t>((rows == 1 ? 0 : ld) | batch_stride);
  return {columns, rows, ld, batch_stride, transposed, alignment_of(data, distance * size_of(p.dtype))};
}

LtEpilogue epilogue_of(const MatmulEpilogue& e) {
  switch (e.kind) {
    case Kind::bias:
      return LtEpilogue::bias;
    case Kind::gelu:
      if (e.pre_gelu) return e.bias ? LtEpilogue::gelu_aux_bias : LtEpilogue::gelu_aux;
      return e.bias ? LtEpilogue::gelu_bias : LtEpilogue::gelu;
    case Kind::gelu_grad:
      return LtEpilogue::gelu_grad;
    case Kind::row_sums:
      return LtEpilogue::column_sums_b;
  }
  return LtEpilogue::none;
}

}  // namespace

LtPlan plan_product(const MatmulArgs& p) {
  LtPlan plan{};
  plan.product.dtype = p.dtype;
  plan.product.tf32 = p.tf32 && p.dtype == DType::f32;
  plan.product.batch = p.batch;
  plan.product.a = matrix(p, p.b, p.b_transposed ? p.n : p.k, p.b_transposed ? p.k : p.n, p.ldb, p.b_batch,
                          p.b_transposed);
  plan.product.b = matrix(p, p.a, p.a_transposed ? p.k : p.m, p.a_transposed ? p.m : p.k, p.lda, p.a_batch,
                          p.a_transposed);
  plan.product.d = matrix(p, p.out, p.m, p.n, p.ldo, p.out_batch, false);
  plan.product.epilogue = LtEpilogue::none;
  plan.a = p.b;
  plan.b = p.a;
  plan.d = p.out;
  return plan;
}

LtPlan plan_product(const MatmulArgs& p, const MatmulEpilogue& e) {
  LtPlan plan = plan_product(p);
  plan.product.epilogue = epilogue_of(e);
  plan.vector = e.kind == Kind::row_sums ? e.row_sums : const_cast<void*>(e.bias);
  plan.aux = e.pre_gelu;
  if (plan.vector) plan.product.vector_alignment = alignment_of(plan.vector);
  if (plan.aux) plan.product.aux_ld = p.n;
  if (plan.aux) plan.product.aux_alignment = alignment_of(plan.aux);
  return plan;
}

bool can_fuse(const MatmulArgs& p, const MatmulEpilogue& e) {
  // PyTorch keeps one column, and sums of one product, from epilogues too.
  if (p.batch != 1 || p.beta != 0 || p.m == 0 || p.n <= 1 || p.k <= 1) return false;
  if (!is_aligned(e.bias) || !is_aligned(e.pre_gelu) || !is_aligned(e.row_sums)) return false;
  if (e.kind == Kind::bias) return true;
  if (p.n % 8 != 0) return false;
  if (e.kind == Kind::row_sums) return size_of(p.dtype) == 2 && p.m % 8 == 0;
  return size_of(p.dtype) == 2 || (p.tf32 && p.dtype == DType::f32);
}

}  // namespace tutti::kernels
