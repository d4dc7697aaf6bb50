#include "comm/shm/shm.h"

#include <fmt/format.h>

#include "comm/shared/backend.h"
#include "comm/shm/shm_segment.h"
#include "tutti/core/error.h"

namespace tutti::comm {

std::unique_ptr<Backend> make_shm_backend(const std::string& job, int rank, int size,
                                          std::chrono::milliseconds timeout) {
  if (size < 1 || size > Layout::max_ranks) {
    throw ConfigError(fmt::format("shm: a group has 1 to {} ranks, not {}", Layout::max_ranks, size));
  }
  if (rank < 0 || rank >= size)
    throw ConfigError(fmt::format("shm: the rank must be in [0, {}), it is {}", size, rank));
  if (job.empty() || job.size() > 200 || job.find('/') != std::string::npos) {
    throw ConfigError(fmt::format("shm: a job's name has 1 to 200 characters and no '/', this is '{}'", job));
  }
  const auto segment =
      rank == 0 ? ShmSegment::create(job, size) : ShmSegment::attach(job, rank, size, timeout);
  auto backend = std::make_unique<SharedBackend>(segment, rank);
  try {
    backend->join(timeout);
  } catch (const CommError&) {
    segment->inherit_name();
    throw;
  }
  segment->drop_name();
  return backend;
}

}  // namespace tutti::comm
