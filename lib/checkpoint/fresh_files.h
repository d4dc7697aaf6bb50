// Files that appear in a directory together.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/directory.h"

namespace tutti::checkpoint {

// They are made in a hidden directory first. Without a commit, or where it throws, nothing is left of them, nor of the
// directory if it was not there.
class FreshFiles {
 public:
  // Makes `path` where there is none; "" is the current directory. Throws CheckpointError.
  explicit FreshFiles(const std::string& path);
  FreshFiles(const FreshFiles&) = delete;
  FreshFiles& operator=(const FreshFiles&) = delete;
  ~FreshFiles();

  const Directory& directory() const { return *directory_; }
  // Where to make them, each synced.
  const Directory& hidden() const { return *hidden_; }
  // Renames them in this order: a crash leaves the first ones without the last. They last when it returns.
  void commit(const std::vector<std::string>& names);

 private:
  const std::string path_;
  bool made_ = false;  // the directory
  bool done_ = false;
  const std::string hidden_name_;
  std::vector<std::string> names_;
  std::size_t renamed_ = 0;  // of them
  std::optional<Directory> directory_, hidden_;
};

}  // namespace tutti::checkpoint
