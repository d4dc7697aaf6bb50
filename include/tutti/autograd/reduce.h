/// \file
/// Reductions over some dimensions (all of them where none are given).
#pragma once

#include "tutti/tensor/tensor.h"

namespace tutti {

/// Sums; i32, u8 and bool are summed as i64. bf16 and f16 are accumulated in f32.
Tensor sum(const Tensor& x, const Shape& dims, bool keepdim = false);
Tensor sum(const Tensor& x);
/// Floating point only.
Tensor mean(const Tensor& x, const Shape& dims, bool keepdim = false);
Tensor mean(const Tensor& x);
/// Largest and smallest; equal ones share the gradient evenly. \throws ShapeError over no elements.
Tensor amax(const Tensor& x, const Shape& dims, bool keepdim = false);
Tensor amax(const Tensor& x);
Tensor amin(const Tensor& x, const Shape& dims, bool keepdim = false);
Tensor amin(const Tensor& x);
/// Variance with `correction` (1: sample variance, 0: population).
Tensor var(const Tensor& x, const Shape& dims, int correction = 1, bool keepdim = false);
/// Index of the first largest along `dim`, i64; no gradient.
Tensor argmax(const Tensor& x, std::int64_t dim, bool keepdim = false);
/// Whether all (any) elements are true; bool, no gradient.
bool all(const Tensor& x);
bool any(const Tensor& x);

/// `x` summed to `shape`, which broadcasts to it: the gradient of broadcasting.
Tensor sum_to(const Tensor& x, const Shape& shape);

}  // namespace tutti
