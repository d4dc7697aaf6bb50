#include "checkpoint/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "checkpoint/disk_file.h"

namespace tutti::checkpoint {

std::string parent_directory(const std::string& path) {
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos) return "";
  return path.substr(0, slash == 0 ? 1 : slash);
}

AtomicFile::AtomicFile(const std::string& path) : path_(path) {
  auto directory = parent_directory(path);
  if (!directory.empty() && directory != "/") directory += '/';
  temporary_ = fmt::format("{}.tutti-{}.tmp", directory, random_name());
  descriptor_ = Descriptor(open_at(AT_FDCWD, temporary_, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW));
  if (!descriptor_) throw_system_error("write", path);
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, std::size_t bytes) {
  const auto* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const auto written = uninterrupted([&] { return ::write(descriptor_.get(), next, bytes); });
    if (written < 0) throw_system_error("write", path_);
    next += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::write_at(std::uint64_t offset, const void* data, std::size_t bytes) {
  checkpoint::write_at(descriptor_.get(), data, bytes, offset, path_);
}

void AtomicFile::commit() {
  sync_file(descriptor_.get(), path_);
  descriptor_.close(path_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0)
    throw_system_error("rename a temporary file to", path_);
  temporary_.clear();
  Directory(parent_directory(path_)).sync();
}

}  // namespace tutti::checkpoint
