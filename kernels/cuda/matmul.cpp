// Matrix products by cuBLASLt.
#include "kernels/matmul.h"

#include <limits>

#include "kernels/cuda/blas_context.h"
#include "kernels/cuda/lt_plan.h"
#include "kernels/cuda/stream.h"
#include "kernels/elementwise.h"
#include "tutti/core/error.h"

namespace tutti::kernels {
namespace {

// An empty sum: out = beta * out.
void scale(const MatmulArgs& p) {
  const Shape shape{p.batch, p.m, p.n};
  const MutableOperand out{p.out, {p.out_batch, p.ldo, 1}};
  if (p.beta == 0) return Fill::cuda(p.dtype, shape, out, 0);
  AddScaled::cuda(p.dtype, shape, out, {p.out, out.strides}, p.beta, 0);
}

}  // namespace

void Matmul::cuda(const MatmulArgs& p) {
  if (p.batch == 0 || p.m == 0 || p.n == 0) return;
  if (p.k == 0) return scale(p);
  if (p.batch > std::numeric_limits<std::int32_t>::max())
    throw ShapeError("matmul: a batch of 2^31 or more matrices");
  if (!BlasContext::current().run(plan_product(p), p.beta, current_stream()))
    throw DeviceError("matmul: cuBLASLt has no algorithm for these operands");
}

bool FusedMatmul::cuda(const MatmulArgs& p, const MatmulEpilogue& epilogue) {
  if (!can_fuse(p, epilogue)) return false;
  BlasContext& context = BlasContext::current();
  const bool has_gelu = epilogue.kind == MatmulEpilogue::Kind::gelu || epilogue.pre_gelu != nullptr;
  if (has_gelu && !context.fuses_gelu()) return false;
  return context.run(plan_product(p, epilogue), 0, current_stream());
}

}  // namespace tutti::kernels
