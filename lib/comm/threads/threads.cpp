#include "comm/threads/threads.h"

#include <fmt/format.h>

#include "comm/shared/backend.h"
#include "comm/threads/heap_segment.h"
#include "tutti/core/error.h"

namespace tutti::comm {

std::vector<std::unique_ptr<Backend>> make_threads_backends(int size) {
  if (size < 1 || size > Layout::max_ranks) {
    throw ConfigError(fmt::format("threads: a group has 1 to {} ranks, not {}", Layout::max_ranks, size));
  }
  const auto segment = std::make_shared<HeapSegment>(size);
  std::vector<std::unique_ptr<Backend>> backends;
  for (int rank = 0; rank < size; ++rank) backends.push_back(std::make_unique<SharedBackend>(segment, rank));
  return backends;
}

}  // namespace tutti::comm
