// Normalisation of the rows of a contiguous matrix, f32 or f64, on a GPU bf16 and f16 as well: then all but x, out, g and dx
// are f32.
#pragma once

#include <cstdint>

#include "kernels/launch.h"
#include "tutti/core/dtype.h"

namespace tutti::kernels {

// out = (x - mean) * rstd * weight + bias, with the row's mean (0 for `root_mean_square`) and
// rstd = 1 / sqrt(variance about that mean + eps). `weight` and `bias` [columns] may be null. Statistics are
// kept.
struct Norm {
  static constexpr const char* name = "norm";
  static void cpu(DType dtype, bool root_mean_square, const void* x, const void* weight, const void* bias,
                  double eps, void* out, void* mean, void* rstd, std::int64_t rows, std::int64_t columns);
  static void cuda(DType dtype, bool root_mean_square, const void* x, const void* weight, const void* bias,
                   double eps, void* out, void* mean, void* rstd, std::int64_t rows, std::int64_t columns);
};

// Gradients of x [rows, columns], weight and bias [columns], each null where it is not wanted. Those of
// weight and bias are sums over blocks of rows, whose number the columns decide, and then over the blocks.
// A GPU decides on the blocks by both sizes, and adds them in a second stage.
struct NormGrad {
  static constexpr const char* name = "norm_grad";
  static void cpu(DType dtype, bool root_mean_square, const void* g, const void* x, const void* weight,
                  const void* mean, const void* rstd, void* dx, void* dweight, void* dbias, std::int64_t rows,
                  std::int64_t columns);
  static void cuda(DType dtype, bool root_mean_square, const void* g, const void* x, const void* weight,
                   const void* mean, const void* rstd, void* dx, void* dweight, void* dbias,
                   std::int64_t rows, std::int64_t columns);
};

}  // namespace tutti::kernels
