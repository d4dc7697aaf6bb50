// Normalisation of each channel of contiguous [n, channels, size], f32 or f64. Sums run over the images in
// their order, in f64; on a GPU under a tree that follows from n and size. There bf16 and f16 are normalised as well; statistics,
// weight, bias and their gradients are f32 beside them.
#pragma once

#include <cstdint>

#include "kernels/launch.h"
#include "tutti/core/dtype.h"

namespace tutti::kernels {

struct BatchNormArgs {
  DType dtype;
  std::int64_t n, channels, size;
};

// Mean and population variance of each channel.
struct BatchStatistics {
  static constexpr const char* name = "batch_statistics";
  static void cpu(const BatchNormArgs& args, const void* x, void* mean, void* variance);
  static void cuda(const BatchNormArgs& args, const void* x, void* mean, void* variance);
};

// What training makes of the two besides, in one pass: rstd = 1 / sqrt(variance + eps), and running averages, null where
// there are none, moved by `momentum` towards the mean and the sample variance. They are of dtype `running`, which is that of
// x, or f32 beside 16 bits.
struct BatchAverages {
  static constexpr const char* name = "batch_averages";
  struct Args {
    const void *mean, *variance;
    double eps;
    void* rstd;
    double momentum;
    DType running;
    void *running_mean, *running_variance;
  };
  // False, and nothing is done: there it is no pass of its own.
  static bool cpu(const BatchNormArgs&, const Args&) { return false; }
  static bool cuda(const BatchNormArgs& args, const Args& averages);
};

// out = (x - mean) * rstd * weight + bias; `weight` and `bias` may be null.
struct BatchNorm {
  static constexpr const char* name = "batch_norm";
  static void cpu(const BatchNormArgs& args, const void* x, const void* mean, const void* rstd,
                  const void* weight, const void* bias, void* out);
  static void cuda(const BatchNormArgs& args, const void* x, const void* mean, const void* rstd,
                   const void* weight, const void* bias, void* out);
};

// Gradients of x, weight and bias, each null where it is not wanted. With `of_batch` the statistics are those
// of x, else constants.
struct BatchNormGrad {
  static constexpr const char* name = "batch_norm_grad";
  static void cpu(const BatchNormArgs& args, bool of_batch, const void* g, const void* x, const void* mean,
                  const void* rstd, const void* weight, void* dx, void* dweight, void* dbias);
  static void cuda(const BatchNormArgs& args, bool of_batch, const void* g, const void* x, const void* mean,
                   const void* rstd, const void* weight, void* dx, void* dweight, void* dbias);
};

}  // namespace tutti::kernels
