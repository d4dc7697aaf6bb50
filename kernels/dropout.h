// Dropout without a mask in memory: whoever needs it draws the numbers again.
#pragma once

#include <cstdint>

#include "kernels/random.h"

namespace tutti::kernels {

// out[i] = x[i] * mask[i] * scale, where mask is what Random's bernoulli makes of `state` and `keep`. Floating point; out may
// be x.
struct Dropout {
  static constexpr const char* name = "dropout";
  static void cpu(DType dtype, const RandomState& state, const void* x, void* out, std::int64_t count,
                  double keep, double scale);
  static void cuda(DType dtype, const RandomState& state, const void* x, void* out, std::int64_t count,
                   double keep, double scale);
};

}  // namespace tutti::kernels
