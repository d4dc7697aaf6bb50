#include "checkpoint/disk_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <new>

#include "checkpoint/directory.h"

namespace tutti::checkpoint {

std::uint64_t file_size(int descriptor, const std::string& path) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) throw_system_error("read", path);
  return static_cast<std::uint64_t>(status.st_size);
}

void write_at(int descriptor, const void* data, std::size_t bytes, std::uint64_t offset,
              const std::string& path) {
  const auto* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const auto written = ::pwrite(descriptor, next, bytes, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    // A file system may take direct transfers of other sizes only, or none behind a short one.
    if (written < 0 && errno == EINVAL && set_direct(descriptor, false)) continue;
    if (written < 0) throw_system_error("write", path);
    next += written;
    offset += static_cast<std::uint64_t>(written);
    bytes -= static_cast<std::size_t>(written);
  }
}

std::size_t read_at(int descriptor, void* data, std::size_t bytes, std::uint64_t offset,
                    const std::string& path) {
  auto* next = static_cast<char*>(data);
  std::size_t done = 0;
  while (done < bytes) {
    const auto got = ::pread(descriptor, next + done, bytes - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EINVAL && set_direct(descriptor, false)) continue;
    if (got < 0) throw_system_error("read", path);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

void sync_file(int descriptor, const std::string& path) {
  if (uninterrupted([&] { return ::fsync(descriptor); }) != 0) throw_system_error("sync", path);
}

bool set_direct(int descriptor, bool on) {
  const int flags = ::fcntl(descriptor, F_GETFL);
  if (flags < 0 || ((flags & O_DIRECT) != 0) == on) return false;
  return ::fcntl(descriptor, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

void reserve_space(int descriptor, std::uint64_t bytes, const std::string& path) {
  if (bytes == 0) return;
  const auto reserve = [&] { return ::fallocate(descriptor, 0, 0, static_cast<off_t>(bytes)); };
  if (uninterrupted(reserve) != 0 && errno != EOPNOTSUPP && errno != ENOSYS)
    throw_system_error("write", path);
}

void truncate(int descriptor, std::uint64_t bytes, const std::string& path) {
  if (uninterrupted([&] { return ::ftruncate(descriptor, static_cast<off_t>(bytes)); }) != 0)
    throw_system_error("write", path);
}

Pages::Pages(std::size_t bytes) : bytes_(round_up(bytes)) {
  if (bytes_ == 0) return;
  void* const memory = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  ::madvise(memory, bytes_, MADV_HUGEPAGE);  // a hint
  data_ = static_cast<std::byte*>(memory);
}

Pages::~Pages() {
  if (data_) ::munmap(data_, bytes_);
}

}  // namespace tutti::checkpoint
