#include "comm/shm/shm.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "comm/deadline.h"
#include "comm/shared/backend.h"
#include "comm/shm/rendezvous.h"
#include "comm/shm/shm_segment.h"
#include "tutti/core/error.h"

namespace tutti::comm {
namespace {

ShmFile find_rank_0(Rendezvous& rendezvous, std::chrono::milliseconds timeout) {
  using std::chrono::milliseconds;
  const auto deadline = deadline_after(timeout);
  auto file = rendezvous.find();
  for (milliseconds pause(1); !file;
       pause = std::min(2 * pause, milliseconds(20)), file = rendezvous.find()) {
    if (std::chrono::steady_clock::now() >= deadline) {
      throw TimeoutError(fmt::format("join #0: rank 0 has not arrived within {} ms", timeout.count()), "join",
                         0, 0);
    }
    std::this_thread::sleep_for(pause);
  }
  return std::move(*file);
}

void check_size(int size) {
  if (size >= 1 && size <= Layout::max_ranks) return;
  throw ConfigError(fmt::format("shm: a group has 1 to {} ranks, not {}", Layout::max_ranks, size));
}

}  // namespace

std::unique_ptr<Backend> make_shm_backend(const std::string& job, int rank, int size,
                                          std::chrono::milliseconds timeout) {
  check_size(size);
  if (rank < 0 || rank >= size)
    throw ConfigError(fmt::format("shm: the rank must be in [0, {}), it is {}", size, rank));
  if (job.empty() || job.size() > 200 || job.find('/') != std::string::npos) {
    throw ConfigError(fmt::format("shm: a job's name has 1 to 200 characters and no '/', this is '{}'", job));
  }
  Rendezvous rendezvous(job);
  const auto segment =
      rank == 0 ? ShmSegment::create(size) : ShmSegment::attach(find_rank_0(rendezvous, timeout), rank, size);
  if (rank == 0) rendezvous.publish(segment->file());
  auto backend = std::make_unique<SharedBackend>(segment, rank);
  try {
    backend->join(timeout);
  } catch (const CommError&) {
    rendezvous.inherit(segment->file());
    throw;
  }
  return backend;
}

std::unique_ptr<Backend> make_shm_backend(int rank, int size,
                                          const std::function<std::uint64_t(std::uint64_t)>& share,
                                          std::chrono::milliseconds timeout) {
  check_size(size);
  constexpr std::uint64_t none = 0;
  std::shared_ptr<ShmSegment> segment;
  if (rank == 0) {
    try {
      segment = ShmSegment::create(size);
    } catch (...) {
      share(none);
      throw;
    }
    share(segment->file().token());
  } else {
    const auto token = share(none);
    auto file = token == none ? std::nullopt : ShmFile::open(ShmFile::path_of(token));
    if (!file) throw CommError("join #0: rank 0 is gone, or has no shared memory", "join", 0, 0);
    segment = ShmSegment::attach(std::move(*file), rank, size);
  }
  auto backend = std::make_unique<SharedBackend>(segment, rank);
  backend->join(timeout);
  return backend;
}

}  // namespace tutti::comm
