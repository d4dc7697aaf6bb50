// Softmax as attention takes it.
#pragma once

#include <cstdint>

#include "tutti/tensor/tensor.h"

namespace tutti::autograd {

// Along the last dimension of an f32 or f64 tensor, on a GPU of one of 16 bits as well. With `causal_rows` t > 0 row i of each [t, n] matrix takes part up to column
// i + n - t, and the rest of it becomes 0.
Tensor softmax_rows(const Tensor& x, bool logarithm, std::int64_t causal_rows);

}  // namespace tutti::autograd
