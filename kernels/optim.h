// Updates of parameters, one pass over each; dtype f32 or f64, everything contiguous.
#pragma once

#include <cstdint>

#include "kernels/launch.h"
#include "tutti/core/dtype.h"

namespace tutti::kernels {

// p = p - lr * d, where d = g + weight_decay * p, and with momentum
//   buffer = momentum * buffer + (1 - dampening) * d     (d itself at the first step)
//   d = nesterov ? d + momentum * buffer : buffer
struct SgdArgs {
  DType dtype;
  std::int64_t count;
  void* parameter;
  const void* grad;
  void* buffer;  // null without momentum
  bool first, nesterov;
  double lr, momentum, dampening, weight_decay;
};

struct SgdStep {
  static constexpr const char* name = "sgd_step";
  static void cpu(const SgdArgs& args);
};

// m = m + (1 - beta1) * (g - m);  v = beta2 * v + (1 - beta2) * g * g
// p = p * keep - step_size * m / (sqrt(v) / root_correction + eps)
// where g has weight_decay * p added first (Adam), or keep = 1 - lr * weight_decay instead (AdamW).
struct AdamArgs {
  DType dtype;
  std::int64_t count;
  void* parameter;
  const void* grad;
  void *exp_avg, *exp_avg_sq;
  double beta1, beta2, eps, weight_decay, keep, step_size, root_correction;
};

struct AdamStep {
  static constexpr const char* name = "adam_step";
  static void cpu(const AdamArgs& args);
};

// The sum of squares of each chunk of `count` elements, in f64: bits that depend on the values alone.
struct SumSquares {
  static constexpr const char* name = "sum_squares";
  static constexpr std::int64_t chunk = 1024;
  static constexpr std::int64_t chunks(std::int64_t count) { return (count + chunk - 1) / chunk; }
  static void cpu(DType dtype, const void* x, std::int64_t count, double* sums);
};

}  // namespace tutti::kernels
