// Directories by descriptor: what is reached through one is in it, whatever becomes of its name.
#pragma once

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tutti::checkpoint {

// The message names `operation`, `path` and what errno says.
[[noreturn]] void throw_system_error(std::string_view operation, const std::string& path);

// What a signal cut short is done again.
template <typename Call>
auto uninterrupted(const Call& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

int open_at(int directory, const std::string& name, int flags);

// A fresh name, of 16 hexadecimal digits.
std::string random_name();

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor();

  int get() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }
  int release() { return std::exchange(number_, -1); }
  // Throws CheckpointError where the system has an error left to tell.
  void close(const std::string& path);

 private:
  int number_ = -1;
};

// Every member throws CheckpointError.
class Directory {
 public:
  // "" is the current directory. A link is followed.
  explicit Directory(const std::string& path);
  // One in this directory, which must be no link.
  Directory open(const std::string& name) const;

  const std::string& path() const { return path_; }
  std::string path(const std::string& name) const;
  int descriptor() const { return descriptor_.get(); }

  // A regular file, and no link to one.
  Descriptor open_to_read(const std::string& name) const;
  // One that was not there.
  Descriptor create(const std::string& name) const;
  // The text of a file of at most `most` bytes.
  std::string read(const std::string& name, std::size_t most) const;
  // A durable file of that name, which was not there.
  void write(const std::string& name, std::string_view text) const;

  std::vector<std::string> names() const;
  bool has(const std::string& name) const;
  // Not for a link to one.
  bool has_directory(const std::string& name) const;
  void make(const std::string& name) const;
  void rename(const std::string& from, const std::string& to) const;
  // Returns false where there is nothing of that name, or the file system cannot do it.
  bool exchange(const std::string& one, const std::string& other) const;
  // With all that is in it. It need not be there.
  void remove(const std::string& name) const;
  // Makes creations, renames and removals in it last.
  void sync() const;

 private:
  Directory(std::string path, Descriptor descriptor)
      : path_(std::move(path)), descriptor_(std::move(descriptor)) {}

  std::string path_;
  Descriptor descriptor_;
};

}  // namespace tutti::checkpoint
