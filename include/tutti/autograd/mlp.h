/// \file
/// Linear layers with a GELU between them, as in transformers.
#pragma once

#include "tutti/autograd/math.h"
#include "tutti/tensor/tensor.h"

namespace tutti {

/// `gelu(linear(x, weight, bias), approximate)`. On a GPU the tanh form in 16 bits (or TF32) is a part of the product
/// where sizes let it: what lies between is rounded once less.
Tensor linear_gelu(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                   Gelu approximate = Gelu::exact);

/// `linear(linear_gelu(x, up_weight, up_bias, approximate), down_weight, down_bias)`: the feed-forward network of a
/// transformer, [..., in] to [..., out]. Biases may be undefined. On a GPU the gradient of the GELU is a part of a
/// product as well.
Tensor mlp(const Tensor& x, const Tensor& up_weight, const Tensor& up_bias, const Tensor& down_weight,
           const Tensor& down_bias, Gelu approximate = Gelu::exact);

}  // namespace tutti
