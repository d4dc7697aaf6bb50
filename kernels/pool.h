// Pooling of `planes` contiguous images [window.y.in, window.x.in], f32 or f64.
#pragma once

#include "kernels/launch.h"
#include "kernels/window.h"
#include "tutti/core/dtype.h"

namespace tutti::kernels {

// Keeps where each result lay in its plane. The gradient is ScatterAdd.
struct MaxPool2d {
  static constexpr const char* name = "max_pool2d";
  static void cpu(DType dtype, const Window& window, std::int64_t planes, const void* x, void* out,
                  std::int64_t* index);
};

struct AvgPool2d {
  static constexpr const char* name = "avg_pool2d";
  static void cpu(DType dtype, const Window& window, std::int64_t planes, const void* x, void* out);
};

struct AvgPool2dGrad {
  static constexpr const char* name = "avg_pool2d_grad";
  static void cpu(DType dtype, const Window& window, std::int64_t planes, const void* g, void* dx);
};

}  // namespace tutti::kernels
