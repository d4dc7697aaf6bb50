// Losses, one pass over the scores forward and one backward. dtype f32 or f64; on a GPU the scores and their gradients may be
// bf16 or f16, then losses, log_sums and g are f32.
#pragma once

#include <cstdint>

#include "kernels/launch.h"
#include "tutti/core/dtype.h"

namespace tutti::kernels {

// logits [rows, classes], targets [rows] in [0, classes) or `ignored`; all contiguous.
struct CrossEntropyArgs {
  DType dtype;
  std::int64_t rows, classes;
  const void* logits;
  const std::int64_t* targets;
  std::int64_t ignored;
  double smoothing;
};

// loss[row] = -log softmax(logits)[target], mixed with the mean over all classes by `smoothing`; 0 where
// ignored. log_sums[row] = log sum exp(logits), for the gradient. A GPU makes NaN of both, and then of the row's gradient, where
// the target is bad: to tell the host would take waiting for it.
struct CrossEntropy {
  static constexpr const char* name = "cross_entropy";
  static void cpu(const CrossEntropyArgs& args, void* loss, void* log_sums);
  static void cuda(const CrossEntropyArgs& args, void* loss, void* log_sums);
};

// out [rows, classes] = g[row] times the gradient of loss[row]; g is one number for all rows if g_step is 0. It may be the
// logits themselves.
struct CrossEntropyGrad {
  static constexpr const char* name = "cross_entropy_grad";
  static void cpu(const CrossEntropyArgs& args, const void* log_sums, const void* g, std::int64_t g_step,
                  void* out);
  static void cuda(const CrossEntropyArgs& args, const void* log_sums, const void* g, std::int64_t g_step,
                   void* out);
};

// The position of the first target that is neither in [0, classes) nor `ignored`, or -1.
struct FindBadTarget {
  static constexpr const char* name = "find_bad_target";
  static std::int64_t cpu(const std::int64_t* targets, std::int64_t count, std::int64_t classes,
                          std::int64_t ignored);
};

// out[i] = -(t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))), without overflow or cancellation.
struct BinaryCrossEntropy {
  static constexpr const char* name = "binary_cross_entropy";
  static void cpu(DType dtype, const void* x, const void* targets, void* out, std::int64_t count);
  static void cuda(DType dtype, const void* x, const void* targets, void* out, std::int64_t count);
};

}  // namespace tutti::kernels
