#include "ckpt/open.h"

#include <fmt/format.h>

#include <filesystem>

#include "tutti/core/error.h"

namespace tutti::ckpt {
namespace {

namespace fs = std::filesystem;

bool has(const std::string& path, const char* name) {
  std::error_code error;
  return fs::exists(fs::path(path) / name, error);
}

}  // namespace

Encryption keys_of(const std::vector<std::string>& key_files) {
  Encryption keys;
  for (const auto& file : key_files) keys.recipients.push_back(key_file(file));
  return keys;
}

bool is_encrypted(const std::string& path) { return has(path, "keys.json"); }

Checkpoint open(const std::string& path, const Common& common) {
  if (common.key_files.empty()) {
    if (is_encrypted(path))
      throw CheckpointError(fmt::format("checkpoint: {} is encrypted: give --key-file", path), path);
    return Checkpoint(path);
  }
  return Checkpoint(path, keys_of(common.key_files));
}

bool is_about_keys(const CheckpointError& error, const std::string& path, const Common& common) {
  return is_encrypted(path) == common.key_files.empty() || error.file().ends_with("keys.json");
}

std::vector<std::string> checkpoints_at(const std::string& path) {
  fs::path given(path);
  if (given.filename().empty()) given = given.parent_path();
  const bool named = given.filename().string().starts_with("step-");
  if (has(path, "manifest.json") || has(path, "manifest.json.enc") || (named && fs::is_directory(given)))
    return {path};
  auto all = Checkpoint::list(path);
  if (all.empty())
    throw CheckpointError(fmt::format("checkpoint: {} is no checkpoint, and there is none in it", path),
                          path);
  return all;
}

std::uint64_t bytes_of(const Checkpoint& checkpoint) {
  std::uint64_t bytes = 0;
  for (const auto& file : checkpoint.files()) bytes += file.bytes;
  return bytes;
}

std::vector<std::string> parts_of(const std::vector<std::string>& given) {
  if (given.size() == 1 && given[0] == "all") return {};
  return given;
}

}  // namespace tutti::ckpt
