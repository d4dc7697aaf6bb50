// What every back end must do. Run it on every rank of a group; it works the same under any launcher.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "tutti/comm/communicator.h"

namespace tutti::test {

struct ConformanceOptions {
  // f32 elements of the largest case: more than any staging memory.
  std::size_t large = 100'003;
};

// Runs each (collective, dtype, size, reduction) with inputs whose exact result is known, and returns what
// this rank found wrong, empty if nothing.
std::vector<std::string> run_conformance(Communicator& comm, const ConformanceOptions& options = {});

}  // namespace tutti::test
