#include "comm/shm/shm_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <utility>

#include "comm/shared/layout.h"
#include "tutti/core/error.h"

namespace tutti::comm {
namespace {

constexpr auto directory = "/dev/shm";
constexpr auto prefix = "tutti-";

std::string path_of(const std::string& job) { return fmt::format("{}/{}{}", directory, prefix, job); }

[[noreturn]] void throw_system(const char* what, const std::string& path, int error) {
  throw ConfigError(fmt::format("shm: cannot {} {}: {}", what, path, std::strerror(error)));
}

struct flock lock_of(int rank) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = rank;
  lock.l_len = 1;
  return lock;
}

bool same_file(const std::string& path, int descriptor) {
  struct stat named {
  }, open{};
  return ::stat(path.c_str(), &named) == 0 && ::fstat(descriptor, &open) == 0 &&
         named.st_ino == open.st_ino && named.st_dev == open.st_dev;
}

}  // namespace

ShmFile ShmFile::create(const std::string& job, std::size_t bytes, std::size_t committed) {
  const int descriptor = ::open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (descriptor < 0) throw_system("create a file in", directory, errno);
  ShmFile file(descriptor, path_of(job));
  if (::ftruncate(descriptor, static_cast<off_t>(bytes)) != 0)
    throw_system("set the size of", file.path_, errno);
  if (!file.commit(0, committed)) {
    struct statvfs space {};
    ::statvfs(directory, &space);
    throw ConfigError(
        fmt::format("shm: {} is too full: the ranks need {} KiB there, {} KiB are free (in a container, "
                    "see --shm-size)",
                    directory, committed / 1024, space.f_bavail * space.f_frsize / 1024));
  }
  return file;
}

std::optional<ShmFile> ShmFile::open(const std::string& job) {
  const std::string path = path_of(job);
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0 && errno != ENOENT) throw_system("open", path, errno);
  if (descriptor < 0) return std::nullopt;
  ShmFile file(descriptor, path);
  // Left by a rank 0 that was killed before all had arrived: the next one takes the name over.
  if (!file.is_locked_by_another(0)) return std::nullopt;
  return file;
}

void ShmFile::remove_stale() noexcept {
  std::error_code ignored;
  for (std::filesystem::directory_iterator entry(directory, ignored), end; entry != end;
       entry.increment(ignored)) {
    const auto& path = entry->path();
    if (!path.filename().string().starts_with(prefix)) continue;
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (descriptor < 0) continue;
    ShmFile file(descriptor, path);
    // Others may have files that are named like ours.
    std::uint64_t format = 0;
    const bool ours =
        ::pread(descriptor, &format, sizeof format, offsetof(Preamble, format)) == sizeof format &&
        format == Preamble::current_format;
    file.published_ = ours && !file.is_locked_by_another(0);  // so that it goes
  }
}

ShmFile::ShmFile(ShmFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      path_(std::move(other.path_)),
      published_(std::exchange(other.published_, false)) {}

ShmFile& ShmFile::operator=(ShmFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  std::swap(published_, other.published_);
  return *this;
}

ShmFile::~ShmFile() {
  unlink();
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool ShmFile::lock(int rank) const {
  auto lock = lock_of(rank);
  return ::fcntl(descriptor_, F_SETLK, &lock) == 0;
}

bool ShmFile::is_locked_by_another(int rank) const {
  auto lock = lock_of(rank);
  return ::fcntl(descriptor_, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

void ShmFile::publish() {
  const std::string self = fmt::format("/proc/self/fd/{}", descriptor_);
  const auto link = [&] {
    return ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW);
  };
  int result = link();
  if (result != 0 && errno == EEXIST) {
    const int other = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
    if (other >= 0) {
      ShmFile stale(other, path_);
      if (stale.is_locked_by_another(0))
        throw ConfigError(fmt::format("shm: {} belongs to a running job", path_));
      stale.published_ = true;  // so that it goes
    }
    result = link();
  }
  if (result != 0) throw_system("create", path_, errno);
  published_ = true;
}

void ShmFile::unlink() {
  if (std::exchange(published_, false) && same_file(path_, descriptor_)) ::unlink(path_.c_str());
}

void ShmFile::inherit_name() { published_ = published_ || !is_locked_by_another(0); }

bool ShmFile::commit(std::size_t offset, std::size_t bytes) const {
  int error = EINTR;
  while (error == EINTR) {
    error = ::posix_fallocate(descriptor_, static_cast<off_t>(offset), static_cast<off_t>(bytes));
  }
  if (error != 0 && error != ENOSPC) throw_system("take memory for", path_, error);
  return error == 0;
}

void ShmFile::release(std::size_t offset, std::size_t bytes) const noexcept {
  ::fallocate(descriptor_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
              static_cast<off_t>(bytes));
}

std::size_t ShmFile::bytes() const {
  struct stat info {};
  if (::fstat(descriptor_, &info) != 0) throw_system("look at", path_, errno);
  return static_cast<std::size_t>(info.st_size);
}

void ShmFile::read(void* data, std::size_t length) const {
  if (::pread(descriptor_, data, length, 0) != static_cast<ssize_t>(length))
    throw_system("read", path_, errno);
}

std::byte* ShmFile::map() const {
  const std::size_t size = bytes();
  void* base = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor_, 0);
  if (base == MAP_FAILED) throw_system("map (is `ulimit -v` set?)", path_, errno);
  ::madvise(base, size, MADV_DONTDUMP);
  return static_cast<std::byte*>(base);
}

}  // namespace tutti::comm
