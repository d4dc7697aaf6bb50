// Convolutions of f32 that need no columns: of a stride of one, small kernels and not too many channels.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/conv.h"

namespace tutti::kernels {

// Whether these serve it.
bool is_direct(const ConvArgs& args);

// As Conv2d and Conv2dGrad.
void direct_conv(const ConvArgs& args, const float* x, const float* weight, const float* bias, float* out);
void direct_conv_grad_images(const ConvArgs& args, const float* g, const float* weight, float* dx);

// Images that make a piece for a thread: a sixteenth of them, or more where each is soon done.
inline std::int64_t piece_images(const ConvArgs& a) {
  const std::int64_t work = a.groups * a.out * a.in * a.window.kernel() * a.window.out();
  return std::max({std::int64_t{1}, (a.n + 15) / 16, 500'000 / std::max<std::int64_t>(1, work)});
}

}  // namespace tutti::kernels
