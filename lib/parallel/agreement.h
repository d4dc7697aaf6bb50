// Whether the ranks have the same model.
#pragma once

#include <string>

#include "tutti/comm/communicator.h"
#include "tutti/tensor/named_tensor.h"

namespace tutti::parallel {

// Throws ConfigError on every rank when a name, shape or dtype of `tensors`, or a line of `settings`, differs from
// rank 0's; where it differs, the message names the first difference.
void check_agreement(const NamedTensors& tensors, const std::string& settings, Communicator& comm);

}  // namespace tutti::parallel
