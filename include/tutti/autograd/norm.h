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

/// A sum, and its norm.
struct AddNorm {
  Tensor sum;
  Tensor normed;
};

/// x + residual and the layer_norm of it, each element read and written once:
///
///     const auto [y, normed] = add_layer_norm(x, attention, weight, bias);
///     return add_layer_norm(y, mlp(normed), next_weight, next_bias);
///
/// The same bits, gradients too, as `x + residual` and then `layer_norm`: the sum is rounded to its dtype before
/// it is normalised. `residual` is of the shape of `x`; an undefined one is none, and the sum is `x`. Either
/// result may be left unused.
AddNorm add_layer_norm(const Tensor& x, const Tensor& residual, const Tensor& weight = {},
                       const Tensor& bias = {}, double eps = 1e-5);

/// The same with rms_norm.
AddNorm add_rms_norm(const Tensor& x, const Tensor& residual, const Tensor& weight = {}, double eps = 1e-5);

}  // namespace tutti
