// Ranks that are processes of one machine.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "tutti/comm/backend.h"

namespace tutti::comm {

// Joins rank `rank` of `size` to the others of `job`. Their memory has no name, and the link by which they find it
// is gone when all have arrived, so that nothing is left behind however the ranks end. Throws TimeoutError naming
// the ranks that have not arrived; ConfigError for a name or size that cannot be, a job that is running already, and
// where there is not enough memory.
std::unique_ptr<Backend> make_shm_backend(const std::string& job, int rank, int size,
                                          std::chrono::milliseconds timeout);

}  // namespace tutti::comm
