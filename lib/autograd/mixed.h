// What Autocast asks of operations.
#pragma once

#include <initializer_list>
#include <optional>

#include "tutti/autograd/autocast.h"
#include "tutti/tensor/tensor.h"

namespace tutti::autograd {

// To what the operands of a product are to be converted first, if to anything. Undefined ones don't count.
std::optional<DType> product_dtype(std::initializer_list<const Tensor*> operands);
// Undefined stays undefined.
Tensor converted(const Tensor& x, DType dtype);

// Whether two operands are to meet in f32: they differ in precision, neither is f64, and Autocast is on.
bool is_mixed(const Tensor& a, const Tensor& b);

}  // namespace tutti::autograd
