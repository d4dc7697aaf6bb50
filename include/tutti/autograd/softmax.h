/// \file
/// Softmax.
#pragma once

#include "tutti/tensor/tensor.h"

namespace tutti {

/// exp(x) / sum(exp(x)) along `dim`, computed without overflow.
Tensor softmax(const Tensor& x, std::int64_t dim = -1);
Tensor log_softmax(const Tensor& x, std::int64_t dim = -1);

}  // namespace tutti
