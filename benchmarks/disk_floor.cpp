#include "benchmarks/disk_floor.h"

#include <fcntl.h>

#include <algorithm>
#include <cstring>

#include "checkpoint/directory.h"

namespace tutti::bench {
namespace {

constexpr std::size_t block_bytes = 8 << 20;

checkpoint::Descriptor open(const std::string& path, int flags) {
  checkpoint::Descriptor file(checkpoint::open_at(AT_FDCWD, path, flags));
  if (!file) checkpoint::throw_system_error("open", path);
  return file;
}

}  // namespace

DiskFloor::DiskFloor() : block_(block_bytes) { std::memset(block_.data(), 1, block_.size()); }

void DiskFloor::write(const std::string& path, std::uint64_t bytes) const {
  auto file = open(path, O_WRONLY | O_CREAT | O_EXCL);
  checkpoint::reserve_space(file.get(), bytes, path);
  checkpoint::set_direct(file.get());
  for (std::uint64_t at = 0; at < bytes; at += block_bytes) {
    const auto count = checkpoint::round_up(std::min<std::uint64_t>(block_bytes, bytes - at));
    checkpoint::write_at(file.get(), block_.data(), count, at, path);
  }
  checkpoint::truncate(file.get(), bytes, path);
  checkpoint::sync_file(file.get(), path);
  file.close(path);
}

void DiskFloor::read(const std::string& path) const {
  const auto file = open(path, O_RDONLY);
  checkpoint::set_direct(file.get());
  for (std::uint64_t at = 0;; at += block_bytes) {
    if (checkpoint::read_at(file.get(), block_.data(), block_bytes, at, path) < block_bytes) return;
  }
}

void forget(const std::string& path) {
  const auto file = open(path, O_RDONLY);
  ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
}

}  // namespace tutti::bench
