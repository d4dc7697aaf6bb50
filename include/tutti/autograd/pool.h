/// \file
/// Pooling over images.
#pragma once

#include "tutti/core/size2d.h"
#include "tutti/tensor/tensor.h"

namespace tutti {

/// Options of max_pool2d and avg_pool2d.
struct PoolOptions {
  Size2d stride = 0;   ///< 0: the size of the window, so that windows do not overlap
  Size2d padding = 0;  ///< rows and columns on each side; at most half of the window
};

/// The largest element of each window of `x` [n, c, h, w]: [n, c, oh, ow] with oh = (h + 2 padding - window)
/// / stride + 1, rounded down, and ow alike. Padding never wins; NaN does. The first of equal elements gets
/// the gradient. \throws ShapeError for sizes that do not fit or an image of 2^31 elements, ConfigError for options out of
/// range.
Tensor max_pool2d(const Tensor& x, Size2d window, const PoolOptions& options = {});

/// The mean of each window, to which padding counts as zeros.
Tensor avg_pool2d(const Tensor& x, Size2d window, const PoolOptions& options = {});

}  // namespace tutti
