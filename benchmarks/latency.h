// The state of the machine.
#pragma once

#include <optional>

#include "tutti/comm/communicator.h"

namespace tutti::bench {

// Nanoseconds that a cache line takes from a core of rank 0 to one of rank 1, with the host's cores as they are now:
// virtual machines are moved between near and far ones, which changes every time of a small message. Nothing where
// there is one rank, or where the two share no memory. Every rank calls it, and all get the same.
std::optional<double> line_latency(Communicator& comm);

}  // namespace tutti::bench
