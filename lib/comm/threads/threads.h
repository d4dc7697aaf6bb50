// Ranks that are threads of this process.
#pragma once

#include <memory>
#include <vector>

#include "tutti/comm/backend.h"

namespace tutti::comm {

// One back end for each of `size` ranks. Throws ConfigError for a size that no group can have.
std::vector<std::unique_ptr<Backend>> make_threads_backends(int size);

}  // namespace tutti::comm
