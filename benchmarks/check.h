// Whether a collective gave the right result.
#pragma once

#include <functional>

#include "benchmarks/pattern.h"

namespace tutti::bench {

// Writes the input, makes the call, and counts wrong elements of the results of all ranks; each gets the same number.
std::size_t wrong_elements(Communicator& comm, const Operands& operands, const Contents& input,
                           const Contents& result, const std::function<void()>& call);

}  // namespace tutti::bench
