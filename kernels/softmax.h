// Softmax of the rows of a contiguous matrix.
#pragma once

#include <cstdint>

#include "kernels/launch.h"
#include "tutti/core/dtype.h"

namespace tutti::kernels {

// out = softmax(x), or its logarithm, of each of `rows` rows; dtype f32 or f64, on a GPU bf16
// and f16 as well. With `causal_rows` t > 0 the
// rows are those of [t, columns] matrices, and row i takes part up to column i + columns - t; the rest of it
// becomes 0.
struct Softmax {
  static constexpr const char* name = "softmax";
  static void cpu(DType dtype, bool logarithm, const void* x, void* out, std::int64_t rows,
                  std::int64_t columns, std::int64_t causal_rows);
  static void cuda(DType dtype, bool logarithm, const void* x, void* out, std::int64_t rows,
                   std::int64_t columns, std::int64_t causal_rows);
};

// out = gradient of x, from the gradient g of y = softmax(x) (or log_softmax).
struct SoftmaxGrad {
  static constexpr const char* name = "softmax_grad";
  static void cpu(DType dtype, bool logarithm, const void* g, const void* y, void* out, std::int64_t rows,
                  std::int64_t columns);
  static void cuda(DType dtype, bool logarithm, const void* g, const void* y, void* out, std::int64_t rows,
                   std::int64_t columns);
};

}  // namespace tutti::kernels
