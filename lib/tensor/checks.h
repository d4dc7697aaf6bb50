// What several operations check, and how they make their results.
#pragma once

#include "kernels/elementwise.h"
#include "tutti/tensor/tensor.h"

namespace tutti {

void check_same_device(const char* op, const Tensor& a, const Tensor& b);
/// The same dtype and device.
void check_alike(const char* op, const Tensor& a, const Tensor& b);
void check_floating_point(const char* op, const Tensor& x);

/// One number, to meet `like` in an operation. Throws DTypeError for a fraction beside integers, which it
/// would lose.
Tensor scalar(const char* op, const Tensor& like, double value);

/// Strides of `x` as broadcast to `shape`: 0 where it repeats.
Shape broadcast_strides(const Tensor& x, const Shape& shape);

inline kernels::Operand operand(const Tensor& x, const Shape& shape) {
  return {x.raw_data(), broadcast_strides(x, shape)};
}
inline kernels::MutableOperand mutable_operand(const Tensor& x) { return {x.raw_data(), x.strides()}; }

}  // namespace tutti
