#include "benchmarks/disk_floor.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <random>
#include <span>

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

// Numbers without a pattern, as a model's: storage that compresses gives others back faster.
DiskFloor::DiskFloor() : block_(block_bytes) {
  std::mt19937_64 numbers(1);
  const std::span words(reinterpret_cast<std::uint64_t*>(block_.data()), block_bytes / sizeof(std::uint64_t));
  std::ranges::generate(words, std::ref(numbers));
}

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

void settle(const std::string& directory) {
  const auto file = open(directory, O_RDONLY | O_DIRECTORY);
  if (::syncfs(file.get()) != 0) checkpoint::throw_system_error("sync", directory);
}

}  // namespace tutti::bench
