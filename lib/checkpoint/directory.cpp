#include "checkpoint/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <random>
#include <system_error>

#include "checkpoint/disk_file.h"
#include "tutti/core/error.h"

namespace tutti::checkpoint {

void throw_system_error(std::string_view operation, const std::string& path) {
  const auto reason = std::generic_category().message(errno);
  throw CheckpointError(fmt::format("checkpoint: cannot {} {}: {}", operation, path, reason), path);
}

int open_at(int directory, const std::string& name, int flags) {
  return uninterrupted([&] { return ::openat(directory, name.c_str(), flags | O_CLOEXEC, 0666); });
}

std::string random_name() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

void Descriptor::close(const std::string& path) {
  // Cut short by a signal, it has closed.
  if (::close(std::exchange(number_, -1)) != 0 && errno != EINTR) throw_system_error("close", path);
}

Directory::Directory(const std::string& path)
    : path_(path), descriptor_(uninterrupted([&] {
        return ::open(path.empty() ? "." : path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      })) {
  if (!descriptor_) throw_system_error("open directory", path_);
}

Directory Directory::open(const std::string& name) const {
  Descriptor child(open_at(descriptor(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  if (!child) throw_system_error("open directory", path(name));
  return {path(name), std::move(child)};
}

std::string Directory::path(const std::string& name) const {
  if (path_.empty()) return name;
  return path_.ends_with('/') ? path_ + name : path_ + "/" + name;
}

Descriptor Directory::open_to_read(const std::string& name) const {
  // Without O_NONBLOCK, opening a FIFO would wait for a writer.
  Descriptor file(open_at(descriptor(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  if (!file) throw_system_error("open", path(name));
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw_system_error("read", path(name));
  if (!S_ISREG(status.st_mode))
    throw CheckpointError(fmt::format("checkpoint: {} is no regular file", path(name)), path(name));
  return file;
}

Descriptor Directory::create(const std::string& name) const {
  Descriptor file(open_at(descriptor(), name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW));
  if (!file) throw_system_error("make", path(name));
  return file;
}

std::string Directory::read(const std::string& name, std::size_t most) const {
  const auto file = open_to_read(name);
  const auto bytes = file_size(file.get(), path(name));
  if (bytes > most) {
    throw CheckpointError(fmt::format("checkpoint: {} has {} bytes, more than {}", path(name), bytes, most),
                          path(name));
  }
  std::string text(bytes, '\0');
  text.resize(read_at(file.get(), text.data(), bytes, 0, path(name)));
  return text;
}

void Directory::write(const std::string& name, std::string_view text) const {
  auto file = create(name);
  write_at(file.get(), text.data(), text.size(), 0, path(name));
  sync_file(file.get(), path(name));
  file.close(path(name));
}

std::vector<std::string> Directory::names() const {
  // A descriptor of its own: reading moves it.
  Descriptor copy(open_at(descriptor(), ".", O_RDONLY | O_DIRECTORY));
  if (!copy) throw_system_error("open directory", path_);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(copy.get()), ::closedir);
  if (!stream) throw_system_error("read directory", path_);
  copy.release();
  std::vector<std::string> all;
  while (true) {
    errno = 0;
    const auto* entry = ::readdir(stream.get());
    if (!entry && errno != 0) throw_system_error("read directory", path_);
    if (!entry) return all;
    const std::string name = entry->d_name;
    if (name != "." && name != "..") all.push_back(name);
  }
}

bool Directory::has(const std::string& name) const {
  struct stat status {};
  if (::fstatat(descriptor(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) return true;
  if (errno != ENOENT) throw_system_error("look at", path(name));
  return false;
}

bool Directory::has_directory(const std::string& name) const {
  struct stat status {};
  if (::fstatat(descriptor(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0)
    return S_ISDIR(status.st_mode);
  if (errno != ENOENT) throw_system_error("look at", path(name));
  return false;
}

void Directory::make(const std::string& name) const {
  if (::mkdirat(descriptor(), name.c_str(), 0777) != 0) throw_system_error("make directory", path(name));
}

void Directory::rename(const std::string& from, const std::string& to) const {
  if (::renameat(descriptor(), from.c_str(), descriptor(), to.c_str()) != 0)
    throw_system_error(fmt::format("rename {} to", from), path(to));
}

bool Directory::exchange(const std::string& one, const std::string& other) const {
  if (::renameat2(descriptor(), one.c_str(), descriptor(), other.c_str(), RENAME_EXCHANGE) == 0) return true;
  if (errno != ENOENT && errno != EINVAL && errno != ENOSYS)
    throw_system_error(fmt::format("exchange {} and", one), path(other));
  return false;
}

void Directory::remove(const std::string& name) const {
  if (::unlinkat(descriptor(), name.c_str(), 0) == 0 || errno == ENOENT) return;
  if (errno != EISDIR && errno != EPERM) throw_system_error("remove", path(name));
  {
    const Directory child = open(name);
    for (const auto& inner : child.names()) child.remove(inner);
  }
  if (::unlinkat(descriptor(), name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
    throw_system_error("remove directory", path(name));
}

void Directory::sync() const { sync_file(descriptor(), path_); }

}  // namespace tutti::checkpoint
