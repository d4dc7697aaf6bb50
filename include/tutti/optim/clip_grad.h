/// \file
#pragma once

#include "tutti/tensor/named_tensor.h"

namespace tutti::optim {

/// Scales the gradients in place so that their norm, all taken together, is at most `max_norm`. Returns the
/// norm before. Squares are summed in f64 in a fixed order, so the result does not depend on how they were
/// computed. A norm that is not finite makes the gradients so too, as in PyTorch: look at what is returned.
/// \throws ConfigError for a negative `max_norm`, DTypeError for gradients that are neither f32 nor f64.
double clip_grad_norm_(const NamedTensors& parameters, double max_norm);

/// The norm alone.
double grad_norm(const NamedTensors& parameters);

}  // namespace tutti::optim
