// A file that appears whole or not at all, and then survives a power cut.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "checkpoint/directory.h"

namespace tutti::checkpoint {

// "" is the current directory.
std::string parent_directory(const std::string& path);

// Bytes go to a temporary file in the directory of `path`; `commit` syncs it, renames it to `path` and syncs
// the directory. Without a commit, or where it throws, `path` is as it was and the temporary file is gone.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  // Behind what was written so.
  void write(const void* data, std::size_t bytes);
  void write_at(std::uint64_t offset, const void* data, std::size_t bytes);
  void commit();

 private:
  std::string path_;
  std::string temporary_;
  Descriptor descriptor_;
};

}  // namespace tutti::checkpoint
