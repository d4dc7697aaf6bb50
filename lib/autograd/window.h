// Sizes of what slides over images.
#pragma once

#include "kernels/window.h"
#include "tutti/core/size2d.h"
#include "tutti/tensor/tensor.h"

namespace tutti::autograd {

// How a `kernel` slides over images `x` [n, c, h, w].
// Throws ConfigError for sizes out of range, ShapeError when x is no such tensor or the kernel does not fit
// into it.
kernels::Window slide(const char* op, const Tensor& x, Size2d kernel, Size2d stride, Size2d padding,
                      Size2d dilation);

}  // namespace tutti::autograd
