/// \file
/// Normalisation over the last dimension.
#pragma once

#include "tutti/tensor/tensor.h"

namespace tutti {

/// (x - mean) / sqrt(variance + eps) * weight + bias for each row of `x` [..., d]; `weight` and `bias` [d],
/// or undefined for none, of the dtype of `x`, or f32 where that is bf16 or f16. J. L. Ba, J. R. Kiros,
/// G. E. Hinton 2016.
Tensor layer_norm(const Tensor& x, const Tensor& weight = {}, const Tensor& bias = {}, double eps = 1e-5);

/// x / sqrt(mean(x^2) + eps) * weight, of dtypes as in layer_norm. B. Zhang and R. Sennrich 2019.
Tensor rms_norm(const Tensor& x, const Tensor& weight = {}, double eps = 1e-5);

}  // namespace tutti
