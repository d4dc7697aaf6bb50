// Ranks that are processes of one machine.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "tutti/comm/backend.h"

namespace tutti::comm {

// Joins rank `rank` of `size` to the others of `job`, whose memory is /dev/shm/tutti-<job> until all have
// arrived, and has no name afterwards, so that nothing is left behind however the ranks end. Throws
// TimeoutError naming the ranks that have not arrived; ConfigError for a name or size that cannot be, a job
// that is running already, and a /dev/shm that is full.
std::unique_ptr<Backend> make_shm_backend(const std::string& job, int rank, int size,
                                          std::chrono::milliseconds timeout);

}  // namespace tutti::comm
