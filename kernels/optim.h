// Updates of parameters, one pass over each; everything contiguous. Many tensors go in one call: on a GPU small launches would be
// the cost.
//
// Of a 16-bit parameter there is a master copy in f32, which is what is updated; the parameter is the master, rounded. What else
// is kept about it is f32 too; its gradient has the dtype of the parameter.
#pragma once

#include <cstdint>
#include <span>

#include "kernels/launch.h"
#include "tutti/core/dtype.h"

namespace tutti::kernels {

// What changes from step to step.
struct SgdScalars {
  double lr;
  bool first;
};

// p = p - lr * d, where d = g + weight_decay * p, and with momentum
//   buffer = momentum * buffer + (1 - dampening) * d     (d itself at the first step)
//   d = nesterov ? d + momentum * buffer : buffer
struct SgdArgs {
  DType dtype;
  std::int64_t count;
  void* parameter;
  const void* grad;
  void* buffer;  // null without momentum
  bool nesterov;
  double momentum, dampening, weight_decay;
  SgdScalars scalars;
  void* master = nullptr;                 // of 16 bits
  const SgdScalars* on_device = nullptr;  // where set, read there in place of `scalars` by what is queued
};

struct SgdStep {
  static constexpr const char* name = "sgd_step";
  static void cpu(const SgdArgs& args);
  static void cpu(std::span<const SgdArgs> tensors);
  static void cuda(std::span<const SgdArgs> tensors);
};

struct AdamScalars {
  double keep, step_size, root_correction;
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
  double beta1, beta2, eps, weight_decay;
  AdamScalars scalars;
  void* master = nullptr;
  const AdamScalars* on_device = nullptr;
};

struct AdamStep {
  static constexpr const char* name = "adam_step";
  static void cpu(const AdamArgs& args);
  static void cpu(std::span<const AdamArgs> tensors);
  static void cuda(std::span<const AdamArgs> tensors);
};

struct SquaresArgs {
  DType dtype;
  std::int64_t count;
  const void* x;
  double* sums;
};

// The sum of squares of each chunk of `count` elements, in f64: bits that depend on the values alone.
struct SumSquares {
  static constexpr const char* name = "sum_squares";
  static constexpr std::int64_t chunk = 1024;
  static constexpr std::int64_t chunks(std::int64_t count) { return (count + chunk - 1) / chunk; }
  static void cpu(std::span<const SquaresArgs> tensors);
  static void cuda(std::span<const SquaresArgs> tensors);
};

// norm = sqrt(sum of sums), in the tree of core/tree.h.
struct NormOfSums {
  static constexpr const char* name = "norm_of_sums";
  static void cpu(const double* sums, std::int64_t count, double* norm);
  static void cuda(const double* sums, std::int64_t count, double* norm);
};

struct ClipArgs {
  DType dtype;
  std::int64_t count;
  void* x;
};

// x = x * max_norm / (norm + 1e-6), PyTorch's guard against a norm of 0, unless that were larger. `norm` is on the device.
struct Clip {
  static constexpr const char* name = "clip";
  static void cpu(std::span<const ClipArgs> tensors, double max_norm, const double* norm);
  static void cuda(std::span<const ClipArgs> tensors, double max_norm, const double* norm);
};

}  // namespace tutti::kernels
