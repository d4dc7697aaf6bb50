// Normalisation of the rows of a contiguous matrix, f32 or f64, on a GPU bf16 and f16 as well: then all but rows are f32.
#pragma once

#include <cstdint>

#include "kernels/launch.h"
#include "tutti/core/dtype.h"

namespace tutti::kernels {

struct NormRows {
  DType dtype;
  bool root_mean_square;
  std::int64_t rows, columns;
};

// out = (sum - mean) * rstd * weight + bias with sum = x + residual, the mean of its row (0 for `root_mean_square`) and
// rstd = 1 / sqrt(variance about that mean + eps). Where `residual` is null, sum is x, and not written. `weight` and
// `bias` [columns] may be null. Statistics are kept.
struct Norm {
  static constexpr const char* name = "norm";
  struct Operands {
    const void* x;
    const void* residual;
    const void* weight;
    const void* bias;
    double eps;
    void* sum;
    void* out;
    void* mean;
    void* rstd;
  };
  static void cpu(const NormRows& of, const Operands& operands);
  static void cuda(const NormRows& of, const Operands& operands);
};

// Gradients of what was normalised, `x` [rows, columns], and of weight and bias [columns], each null where it is not wanted;
// `g` is that of the result. What flows to x on another way, `of_x`, is added to dx where it is not null. Those of weight and
// bias are sums over blocks of rows, whose number the columns decide, and then over the blocks. A GPU decides on the blocks
// by both sizes, and adds them in a second stage.
struct NormGrad {
  static constexpr const char* name = "norm_grad";
  struct Operands {
    const void* g;
    const void* of_x;
    const void* x;
    const void* weight;
    const void* mean;
    const void* rstd;
    void* dx;
    void* dweight;
    void* dbias;
  };
  static void cpu(const NormRows& of, const Operands& operands);
  static void cuda(const NormRows& of, const Operands& operands);
};

}  // namespace tutti::kernels
