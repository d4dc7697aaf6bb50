/// \file
#pragma once

#include "tutti/tensor/random.h"

namespace tutti {

/// Sets elements of `x` to 0 with probability `p` and scales the others by 1 / (1 - p). The mask is that of
/// `bernoulli(1 - p, ...)`; it is not kept: the backward pass draws it again.
/// \throws ConfigError for p outside [0, 1], DTypeError unless `x` is floating point.
Tensor dropout(const Tensor& x, double p, Generator& generator);

}  // namespace tutti
