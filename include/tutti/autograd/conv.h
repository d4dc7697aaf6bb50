/// \file
/// Convolution over images.
#pragma once

#include "tutti/core/size2d.h"
#include "tutti/tensor/tensor.h"

namespace tutti {

/// Options of conv2d.
struct ConvOptions {
  Size2d stride = 1;
  Size2d padding = 0;       ///< rows and columns of zeros on each side
  Size2d dilation = 1;      ///< distance of the kernel's elements
  std::int64_t groups = 1;  ///< channels are cut into as many parts, convolved apart
};

/// Cross-correlation of `x` [n, in, h, w] with `weight` [out, in / groups, kh, kw], plus `bias` [out] (or
/// none if undefined): [n, out, oh, ow] with oh = (h + 2 padding - dilation (kh - 1) - 1) / stride + 1,
/// rounded down, and ow alike. As a matrix product of unfolded images: K. Chellapilla, S. Puri, P. Simard
/// 2006. \throws ShapeError for sizes that do not fit, ConfigError for a stride or dilation below 1, a
/// padding below 0, or
///         groups that do not divide the channels.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
              const ConvOptions& options = {});

}  // namespace tutti
