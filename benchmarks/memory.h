// How fast memory is, for comparison: the loops of STREAM.
#pragma once

#include "benchmarks/settings.h"
#include "tutti/comm/communicator.h"

namespace tutti::bench {

// On one rank, the others waiting, and on all at once. Arrays are of `settings.max_bytes`. Returns the exit code.
int measure_memory(Communicator& comm, const Settings& settings);

}  // namespace tutti::bench
