// Pooling of `planes` contiguous images [window.y.in, window.x.in], f32 or f64; on a GPU bf16 and f16 as well,
// with sums in f32.
#pragma once

#include "kernels/launch.h"
#include "kernels/window.h"
#include "tutti/core/dtype.h"

namespace tutti::kernels {

// Keeps where each result lay in its plane, of at most 2^31 - 1 elements.
struct MaxPool2d {
  static constexpr const char* name = "max_pool2d";
  static void cpu(DType dtype, const Window& window, std::int64_t planes, const void* x, void* out,
                  std::int32_t* index);
  static void cuda(DType dtype, const Window& window, std::int64_t planes, const void* x, void* out,
                   std::int32_t* index);
};

struct MaxPool2dGrad {
  static constexpr const char* name = "max_pool2d_grad";
  static void cpu(DType dtype, const Window& window, std::int64_t planes, const void* g,
                  const std::int32_t* index, void* dx);
  static void cuda(DType dtype, const Window& window, std::int64_t planes, const void* g,
                   const std::int32_t* index, void* dx);
};

struct AvgPool2d {
  static constexpr const char* name = "avg_pool2d";
  static void cpu(DType dtype, const Window& window, std::int64_t planes, const void* x, void* out);
  static void cuda(DType dtype, const Window& window, std::int64_t planes, const void* x, void* out);
};

struct AvgPool2dGrad {
  static constexpr const char* name = "avg_pool2d_grad";
  static void cpu(DType dtype, const Window& window, std::int64_t planes, const void* g, void* dx);
  static void cuda(DType dtype, const Window& window, std::int64_t planes, const void* g, void* dx);
};

}  // namespace tutti::kernels
