#include "comm/shm/shm_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <utility>

#include "tutti/core/error.h"

namespace tutti::comm {
namespace {

[[noreturn]] void throw_system(const char* what, int error) {
  throw ConfigError(fmt::format("shm: cannot {}: {}", what, std::strerror(error)));
}

struct flock lock_of(int rank) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = rank;
  lock.l_len = 1;
  return lock;
}

bool read_number(const char* path, std::size_t& number) {
  return static_cast<bool>(std::ifstream(path) >> number);
}

// File cache of a container, which the kernel gives up before it refuses memory.
std::size_t reclaimable_memory() {
  std::ifstream statistics("/sys/fs/cgroup/memory.stat");
  std::size_t sum = 0, bytes = 0;
  for (std::string name; statistics >> name >> bytes;) {
    if (name == "active_file" || name == "inactive_file") sum += bytes;
  }
  return sum;
}

}  // namespace

std::size_t available_memory() {
  std::size_t kilobytes = 0;
  std::ifstream machine("/proc/meminfo");
  for (std::string name; machine >> name && name != "MemAvailable:";) {
    machine.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  if (!(machine >> kilobytes)) return std::numeric_limits<std::size_t>::max();
  std::size_t available = kilobytes * 1024, limit = 0, used = 0;
  // Of a container; "max", which is no number, where there is no limit.
  if (read_number("/sys/fs/cgroup/memory.max", limit) && read_number("/sys/fs/cgroup/memory.current", used)) {
    used -= std::min(used, reclaimable_memory());
    available = std::min(available, limit - std::min(limit, used));
  }
  return available;
}

ShmFile ShmFile::create(std::size_t bytes, std::size_t committed) {
  const int descriptor = ::memfd_create("tutti", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (descriptor < 0) throw_system("create shared memory", errno);
  ShmFile file(descriptor);
  if (::ftruncate(descriptor, static_cast<off_t>(bytes)) != 0)
    throw_system("set the size of shared memory", errno);
  if (::fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    throw_system("seal shared memory", errno);
  if (!file.commit(0, committed)) {
    throw ConfigError(fmt::format("shm: the ranks need {} KiB of memory, {} KiB are available",
                                  committed / 1024, available_memory() / 1024));
  }
  return file;
}

std::optional<ShmFile> ShmFile::open(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor >= 0) return ShmFile(descriptor);
  if (errno == ENOENT || errno == ESRCH || errno == ENXIO) return std::nullopt;
  throw ConfigError(fmt::format("shm: cannot open {}: {}", path, std::strerror(errno)));
}

ShmFile::ShmFile(ShmFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

ShmFile& ShmFile::operator=(ShmFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

ShmFile::~ShmFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::uint64_t ShmFile::token() const {
  return static_cast<std::uint64_t>(::getpid()) << 32 | static_cast<std::uint32_t>(descriptor_);
}

std::string ShmFile::path_of(std::uint64_t token) {
  return fmt::format("/proc/{}/fd/{}", token >> 32, token & 0xffff'ffff);
}

bool ShmFile::lock(int rank) const {
  auto lock = lock_of(rank);
  return ::fcntl(descriptor_, F_SETLK, &lock) == 0;
}

bool ShmFile::is_locked_by_another(int rank) const {
  auto lock = lock_of(rank);
  return ::fcntl(descriptor_, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool ShmFile::commit(std::size_t offset, std::size_t bytes) const {
  // The kernel would rather end processes than refuse.
  if (bytes > available_memory()) return false;
  // Any signal makes Linux before 6.11 undo all of a call: in pieces that end between two of a timer's.
  constexpr std::size_t piece = 4 << 20;
  for (std::size_t done = 0; done < bytes;) {
    const auto count = std::min(piece, bytes - done);
    const int error =
        ::posix_fallocate(descriptor_, static_cast<off_t>(offset + done), static_cast<off_t>(count));
    if (error == ENOSPC || error == ENOMEM) return false;
    if (error != 0 && error != EINTR) throw_system("take shared memory", error);
    if (error == 0) done += count;
  }
  return true;
}

void ShmFile::release(std::size_t offset, std::size_t bytes) const noexcept {
  ::fallocate(descriptor_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
              static_cast<off_t>(bytes));
}

std::size_t ShmFile::bytes() const {
  struct stat info {};
  if (::fstat(descriptor_, &info) != 0) throw_system("look at shared memory", errno);
  return static_cast<std::size_t>(info.st_size);
}

bool ShmFile::read(void* data, std::size_t length) const {
  return ::pread(descriptor_, data, length, 0) == static_cast<ssize_t>(length);
}

std::byte* ShmFile::map() const {
  const std::size_t size = bytes();
  void* base = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor_, 0);
  if (base == MAP_FAILED) throw_system("map shared memory (is `ulimit -v` set?)", errno);
  ::madvise(base, size, MADV_DONTDUMP);
  return static_cast<std::byte*>(base);
}

}  // namespace tutti::comm
