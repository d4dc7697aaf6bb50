#include "comm/shm/shm_segment.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "comm/deadline.h"
#include "comm/shm/shm.h"
#include "tutti/core/error.h"

namespace tutti::comm {
namespace {

// All arenas together stay far below the 128 TiB that a process can address.
constexpr std::size_t most_address_space = std::size_t{1} << 44;

std::size_t arena_bytes(int size) {
  const auto memory =
      static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return Arena::rounded(std::min(memory, most_address_space / static_cast<std::size_t>(size)));
}

// Every rank computes the same from the size of the file.
std::size_t arena_bytes(const ShmFile& file, const Layout& layout) {
  return (file.bytes() - layout.bytes()) / static_cast<std::size_t>(layout.size());
}

}  // namespace

std::shared_ptr<ShmSegment> ShmSegment::create(const std::string& job, int size) {
  const Layout layout(size);
  ShmFile file = ShmFile::create(job, layout.bytes() + static_cast<std::size_t>(size) * arena_bytes(size),
                                 layout.bytes());
  file.lock(0);
  auto segment = std::make_shared<ShmSegment>(job, std::move(file), 0, size);
  layout.header(segment->base()).preamble = {Preamble::current_format, size};
  segment->file_.publish();
  return segment;
}

std::shared_ptr<ShmSegment> ShmSegment::attach(const std::string& job, int rank, int size,
                                               std::chrono::milliseconds timeout) {
  using std::chrono::milliseconds;
  const auto deadline = deadline_after(timeout);
  auto file = ShmFile::open(job);
  for (milliseconds pause(1); !file;
       pause = std::min(2 * pause, milliseconds(20)), file = ShmFile::open(job)) {
    if (std::chrono::steady_clock::now() >= deadline) {
      throw TimeoutError(fmt::format("join #0: rank 0 has not arrived within {} ms", timeout.count()), "join",
                         0, 0);
    }
    std::this_thread::sleep_for(pause);
  }
  Preamble found;
  file->read(&found, sizeof(found));
  if (found.format != Preamble::current_format) {
    throw ConfigError(
        fmt::format("shm: rank 0 of job {} runs another version of Tutti than rank {}", job, rank));
  }
  if (found.size != size) {
    throw ConfigError(fmt::format("shm: rank {} was told that job {} has {} ranks, rank 0 was told {}", rank,
                                  job, size, found.size));
  }
  if (!file->lock(rank))
    throw ConfigError(fmt::format("shm: another process is rank {} of job {} already", rank, job));
  return std::make_shared<ShmSegment>(job, std::move(*file), rank, size);
}

ShmSegment::ShmSegment(const std::string& job, ShmFile file, int rank, int size)
    : Segment(size),
      job_(job),
      file_(std::move(file)),
      bytes_(file_.bytes()),
      arena_(layout().bytes() + static_cast<std::size_t>(rank) * arena_bytes(file_, layout()),
             arena_bytes(file_, layout())) {
  set_base(file_.map());
}

ShmSegment::~ShmSegment() { ::munmap(base(), bytes_); }

std::optional<std::uint64_t> ShmSegment::locate(const void* data, std::size_t bytes) const {
  const auto begin = reinterpret_cast<std::uintptr_t>(base());
  const auto place = reinterpret_cast<std::uintptr_t>(data);
  if (bytes == 0) return 0;
  if (place < begin || place - begin > bytes_ || bytes_ - (place - begin) < bytes) return std::nullopt;
  return place - begin;
}

std::shared_ptr<void> ShmSegment::allocate(std::size_t bytes) {
  const std::size_t rounded = Arena::rounded(bytes);
  const auto offset = rounded < bytes ? std::nullopt : arena_.take(rounded);
  if (offset && file_.commit(*offset, rounded)) {
    return {base() + *offset, [self = shared_from_this(), offset = *offset, rounded](void*) {
              self->file_.release(offset, rounded);
              self->arena_.give_back(offset, rounded);
            }};
  }
  if (offset) {
    file_.release(*offset, rounded);
    arena_.give_back(*offset, rounded);
  }
  throw DeviceError(
      fmt::format("allocate: /dev/shm has no {} bytes left (in a container, see --shm-size)", bytes));
}

bool ShmSegment::alive(int rank) const {
  return layout().slot(base(), rank).pid.load() == ::getpid() || file_.is_locked_by_another(rank);
}

std::unique_ptr<Backend> ShmSegment::join_part(std::uint64_t sequence, int color, int rank, int size,
                                               std::chrono::milliseconds timeout) {
  return make_shm_backend(fmt::format("{}.{}.{}", job_, sequence, color), rank, size, timeout);
}

}  // namespace tutti::comm
