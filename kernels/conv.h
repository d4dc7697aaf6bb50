// Convolution of contiguous images, f32 or f64; on a GPU bf16 and f16 as well.
#pragma once

#include "kernels/launch.h"
#include "kernels/window.h"
#include "tutti/core/dtype.h"

namespace tutti::kernels {

// `in` and `out` are the channels of one group. Images are [n, groups * in, y.in, x.in], results
// [n, groups * out, y.out, x.out], weights [groups * out, in, y.kernel, x.kernel].
struct ConvArgs {
  DType dtype;
  std::int64_t n, groups, in, out;
  Window window;
  bool tf32 = false;  // on a GPU, operands of f32 may lose their last 13 bits
};

// `bias` [groups * out] may be null.
struct Conv2d {
  static constexpr const char* name = "conv2d";
  // Of a GPU's memory for the columns of a piece of the batch, if an image needs no more: about what the second cache
  // holds. Tests make it small.
  static inline std::int64_t workspace_bytes = std::int64_t{64} << 20;
  static void cpu(const ConvArgs& args, const void* x, const void* weight, const void* bias, void* out);
  static void cuda(const ConvArgs& args, const void* x, const void* weight, const void* bias, void* out);
};

// Gradients of x and weight, each null where it is not wanted. That of the weight is a sum over at
// most sixteen groups of images, and then over the groups.
struct Conv2dGrad {
  static constexpr const char* name = "conv2d_grad";
  static void cpu(const ConvArgs& args, const void* g, const void* x, const void* weight, void* dx,
                  void* dweight);
  static void cuda(const ConvArgs& args, const void* g, const void* x, const void* weight, void* dx,
                   void* dweight);
};

}  // namespace tutti::kernels
