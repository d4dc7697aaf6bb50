/// \file
/// Functions of one tensor, elementwise, of floating point only, except neg, abs, sign, square, relu and
/// logical_not.
#pragma once

#include "tutti/tensor/tensor.h"

namespace tutti {

Tensor neg(const Tensor& x);
Tensor abs(const Tensor& x);   ///< gradient 0 at 0
Tensor sign(const Tensor& x);  ///< -1, 0 or 1; gradient 0
Tensor square(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor rsqrt(const Tensor& x);  ///< 1 / sqrt(x)
Tensor reciprocal(const Tensor& x);
Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor erf(const Tensor& x);
Tensor floor(const Tensor& x);  ///< gradient 0
Tensor sigmoid(const Tensor& x);
Tensor relu(const Tensor& x);  ///< gradient 0 at 0
/// GELU, D. Hendrycks and K. Gimpel 2016: x * Phi(x), exact by erf, or approximate by tanh as in GPT-2.
enum class Gelu : unsigned char { exact, tanh };
Tensor gelu(const Tensor& x, Gelu approximate = Gelu::exact);
Tensor silu(const Tensor& x);  ///< x * sigmoid(x)
/// The gradient is 0 at the bounds.
Tensor clamp(const Tensor& x, double low, double high);
/// bool -> bool, no gradient.
Tensor logical_not(const Tensor& x);

}  // namespace tutti
