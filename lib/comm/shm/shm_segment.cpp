#include "comm/shm/shm_segment.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>

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

std::shared_ptr<ShmSegment> ShmSegment::create(int size) {
  const Layout layout(size);
  ShmFile file =
      ShmFile::create(layout.bytes() + static_cast<std::size_t>(size) * arena_bytes(size), layout.bytes());
  file.lock(0);
  auto segment = std::make_shared<ShmSegment>(std::move(file), 0, size);
  layout.header(segment->base()).preamble = {Preamble::current_format, size};
  return segment;
}

std::shared_ptr<ShmSegment> ShmSegment::attach(ShmFile file, int rank, int size) {
  Preamble found{};
  if (!file.read(&found, sizeof(found)) || found.format != Preamble::current_format) {
    throw ConfigError(fmt::format("shm: rank 0 runs another version of Tutti than rank {}", rank));
  }
  if (found.size != size) {
    throw ConfigError(fmt::format("shm: rank {} was told that its job has {} ranks, rank 0 was told {}", rank,
                                  size, found.size));
  }
  if (!file.lock(rank))
    throw ConfigError(fmt::format("shm: another process is rank {} of this job already", rank));
  return std::make_shared<ShmSegment>(std::move(file), rank, size);
}

ShmSegment::ShmSegment(ShmFile file, int rank, int size)
    : Segment(size),
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
#ifdef MADV_POPULATE_WRITE
    // Mapped now rather than page by page in the first collective.
    ::madvise(base() + *offset, rounded, MADV_POPULATE_WRITE);
#endif
    return {base() + *offset, [self = shared_from_this(), offset = *offset, rounded](void*) {
              self->file_.release(offset, rounded);
              self->arena_.give_back(offset, rounded);
            }};
  }
  if (offset) {
    file_.release(*offset, rounded);
    arena_.give_back(*offset, rounded);
  }
  throw DeviceError(fmt::format("allocate: there are no {} bytes left, only {}", bytes, available_memory()));
}

bool ShmSegment::alive(int rank) const {
  return layout().slot(base(), rank).pid.load() == ::getpid() || file_.is_locked_by_another(rank);
}

Segment::Part ShmSegment::make_part(int size) {
  auto segment = create(size);
  const auto token = segment->file().token();
  return {std::move(segment), token};
}

std::shared_ptr<Segment> ShmSegment::take_part(std::uint64_t token, int rank, int size) {
  auto file = ShmFile::open(ShmFile::path_of(token));
  if (!file) return nullptr;
  return attach(std::move(*file), rank, size);
}

}  // namespace tutti::comm
