// The parts of clipping, for gradients that are spread over ranks.
#pragma once

#include <span>

#include "tutti/tensor/named_tensor.h"

namespace tutti::optim {

// The sums of squares of the chunks of a parameter's gradient, kernels::SumSquares::chunks(numel) of them.
// Throws DTypeError for a gradient that is neither f32 nor f64.
void grad_squares(const NamedTensor& parameter, double* sums);

// Throws ConfigError for a negative one.
void check_max_norm(double max_norm);

// Scales gradients whose norm is `norm`.
void clip_to(const NamedTensors& parameters, double max_norm, double norm);

}  // namespace tutti::optim
