// Operands and parameters that may be left out: undefined ones stay so.
#pragma once

#include "tutti/tensor/tensor.h"

namespace tutti::autograd {

// As kernels take it: contiguous, and on a GPU from 16 bytes on. There they are chosen by what can be loaded at once, and so are
// the bits of sums.
Tensor dense(const Tensor& x);
// The same for one whose strides may stay.
Tensor aligned(const Tensor& x);
// bf16 and f16 as f32.
Tensor widened(const Tensor& x);
// Whether kernels take `x` as f32 only: bf16 and f16 on the CPU.
bool is_widened(const Tensor& x);
// Null for one that is left out.
void* address(const Tensor& x);

// A parameter of an operation on `x`: a vector of `size` elements on its device, of its dtype, or of f32 beside
// bf16 and f16.
void check_parameter(const char* op, const char* which, const Tensor& x, std::int64_t size,
                     const Tensor& parameter);

}  // namespace tutti::autograd
