// The commands of tutti-ckpt: one file each. They return the exit code.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tutti/checkpoint/upkeep.h"

namespace tutti::ckpt {

// Exit codes.
inline constexpr int success = 0;
inline constexpr int found = 1;  // damage, or a difference
inline constexpr int usage = 2;
inline constexpr int failure = 3;

// Options of every command.
struct Common {
  bool json = false;
  std::vector<std::string> key_files;
};

// List the checkpoints of a run, newest first.
int ls(const std::string& run, const Common& common);

// Tell what a checkpoint holds.
int show(const std::string& path, bool with_fingerprint, const Common& common);

// Read every byte of a checkpoint, or of all of a run, and name what is damaged.
int verify(const std::string& path, const Common& common);

// Compare the tensors of two checkpoints; no parts are all.
int diff(const std::string& a, const std::string& b, const std::vector<std::string>& parts,
         const Common& common);

struct ExportOptions {
  std::string from, to;
  std::vector<std::string> parts = {"model"};
  std::uint64_t max_shard_bytes = 0;
};
int export_to(const ExportOptions& options, const Common& common);

struct ImportOptions {
  std::string from, to;
  std::string part = "model";
  std::optional<std::int64_t> steps;
  std::int64_t logical_ranks = 1;
};
int import_from(const ImportOptions& options, const Common& common);

// Let other keys open an encrypted checkpoint, or all of a run, and the old ones no more.
int rewrap(const std::string& path, const std::vector<std::string>& recipients, const Common& common);

// Remove old checkpoints of a run, and what interrupted saves left.
int prune(const std::string& run, checkpoint::PruneOptions options, const Common& common);

}  // namespace tutti::ckpt
