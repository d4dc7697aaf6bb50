// Convolutions of f32 that need no columns: of small kernels and strides and not too many channels.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/conv.h"

namespace tutti::kernels {

// Whether these serve it; the gradient of the images, only where the stride is one as well.
bool is_direct(const ConvArgs& args);

// As Conv2d and Conv2dGrad.
void direct_conv(const ConvArgs& args, const float* x, const float* weight, const float* bias, float* out);
void direct_conv_grad_images(const ConvArgs& args, const float* g, const float* weight, float* dx);

// That of the weight, of `images` alone, on this thread.
void direct_conv_grad_weight(const ConvArgs& args, std::int64_t images, const float* g, const float* x,
                             float* dweight);

// Images that make a piece for a thread: a sixteenth of them, or more where each, of `work` operations, is soon done.
inline std::int64_t piece_images(std::int64_t images, std::int64_t work) {
  return std::max({std::int64_t{1}, (images + 15) / 16, 500'000 / std::max<std::int64_t>(1, work)});
}

}  // namespace tutti::kernels
