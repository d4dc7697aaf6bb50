#include "checkpoint/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "checkpoint/directory.h"

namespace tutti::checkpoint {

std::string parent_directory(const std::string& path) {
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos) return "";
  return path.substr(0, slash == 0 ? 1 : slash);
}

void sync_directory(const std::string& path) {
  const int descriptor = ::open(path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) throw_system_error("open directory", path);
  const int result = ::fsync(descriptor);
  const int error = errno;
  ::close(descriptor);
  errno = error;
  if (result != 0) throw_system_error("sync directory", path);
}

AtomicFile::AtomicFile(const std::string& path) : path_(path) {
  auto directory = parent_directory(path);
  if (!directory.empty() && directory != "/") directory += '/';
  temporary_ = fmt::format("{}.tutti-{}.tmp", directory, random_name());
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw_system_error("write", path);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, std::size_t bytes) {
  const auto* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const auto written = ::write(descriptor_, next, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_system_error("write", path_);
    next += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::commit() {
  // A failed fsync is final: the kernel may have dropped the pages, and a second one would report success.
  if (::fsync(descriptor_) != 0) throw_system_error("sync", path_);
  if (::close(std::exchange(descriptor_, -1)) != 0) throw_system_error("close", path_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0)
    throw_system_error("rename a temporary file to", path_);
  temporary_.clear();
  sync_directory(parent_directory(path_));
}

}  // namespace tutti::checkpoint
