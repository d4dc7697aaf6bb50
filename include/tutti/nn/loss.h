/// \file
/// The losses, where users of modules look for them.
#pragma once

#include "tutti/autograd/loss.h"

namespace tutti::nn {

using tutti::binary_cross_entropy_with_logits;
using tutti::cross_entropy;
using tutti::mse_loss;

}  // namespace tutti::nn
