/// \file
#pragma once

#include "tutti/tensor/named_tensor.h"

namespace tutti::optim {

/// Scales the gradients in place so that their norm, all taken together, is at most `max_norm`. Returns the
/// norm before. Squares are summed in f64 in a fixed order, so the result does not depend on how they were
/// computed. A norm that is not finite makes the gradients so too, as in PyTorch: look at what is returned.
/// Of gradients on a GPU both devices make the same norm, to the last bit; its value is waited for when they have been scaled.
/// \throws ConfigError for a negative `max_norm`.
double clip_grad_norm_(const NamedTensors& parameters, double max_norm);

/// The same where nothing waits for a GPU: the norm is a number (f64) on the device of the gradients, or on the CPU if they are
/// on several.
Tensor clip_grad_norm_async_(const NamedTensors& parameters, double max_norm);

/// The norm alone.
double grad_norm(const NamedTensors& parameters);

}  // namespace tutti::optim
