#include "checkpoint/fresh_files.h"

#include <fmt/format.h>

#include <exception>
#include <filesystem>
#include <system_error>

#include "checkpoint/run_directory.h"
#include "tutti/core/error.h"

namespace tutti::checkpoint {

FreshFiles::FreshFiles(const std::string& path) : path_(path), hidden_name_(".export-" + random_name()) {
  if (!path.empty()) {
    std::error_code error;
    made_ = !std::filesystem::exists(path, error);
    prepare(path);
  }
  directory_.emplace(path);
  directory_->make(hidden_name_);
  hidden_.emplace(directory_->open(hidden_name_));
}

FreshFiles::~FreshFiles() {
  try {
    directory_->remove(hidden_name_);
    if (done_) return;
    for (std::size_t i = 0; i < renamed_; ++i) directory_->remove(names_[i]);
  } catch (const std::exception&) {  // what stopped it is told already, and cleaning up was an attempt
  }
  std::error_code ignored;
  if (made_ && !done_) std::filesystem::remove(path_, ignored);  // if it is empty
}

void FreshFiles::commit(const std::vector<std::string>& names) {
  hidden_->sync();
  names_ = names;
  for (const auto& name : names_) {
    if (directory_->has(name)) {
      throw CheckpointError(fmt::format("checkpoint: {} is there already", directory_->path(name)),
                            directory_->path(name));
    }
    directory_->rename(hidden_name_ + "/" + name, name);
    ++renamed_;
    directory_->sync();
  }
  done_ = true;
}

}  // namespace tutti::checkpoint
