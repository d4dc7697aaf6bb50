// Whether ranks that should have the same have it.
#pragma once

#include <cstdint>

#include "tutti/comm/communicator.h"
#include "tutti/nn/module.h"

namespace tutti::parallel {

// Compares the fingerprints of `tensors` and the states of `generators` among the ranks. Throws DataError on every
// rank, naming the first that differs and the ranks that differ from rank 0 in it. A collective call.
void check_divergence(const NamedTensors& tensors, const NamedGenerators& generators, std::int64_t step,
                      Communicator& comm);

}  // namespace tutti::parallel
