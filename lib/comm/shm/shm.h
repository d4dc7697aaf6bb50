// Ranks that are processes of one machine.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
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

// The same for ranks that can tell each other a number: `share(n)` returns on every rank what rank 0 has given it. Nothing
// has a name then. Throws CommError where rank 0 is gone or has failed.
std::unique_ptr<Backend> make_shm_backend(int rank, int size,
                                          const std::function<std::uint64_t(std::uint64_t)>& share,
                                          std::chrono::milliseconds timeout);

}  // namespace tutti::comm
