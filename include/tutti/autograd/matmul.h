/// \file
/// Matrix products.
#pragma once

#include "tutti/tensor/tensor.h"

namespace tutti {

/// [..., m, k] x [..., k, n] -> [..., m, n]; leading dimensions broadcast, a vector is a row on the left and
/// a column on the right, as in NumPy. Transposed operands are used where they lie. Sums of bf16 and f16
/// are f32, rounded once; for f32 on GPUs see Float32Matmul.
/// \throws ShapeError when inner sizes differ, DTypeError for integers or different dtypes.
Tensor matmul(const Tensor& a, const Tensor& b);

/// x [..., in] times weight [out, in] transposed, plus bias [out] (or none if undefined): [..., out].
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

}  // namespace tutti
