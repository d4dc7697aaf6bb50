/// \file
/// Looking after checkpoints that are there: which stay, and who can open them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tutti/checkpoint/encryption.h"

namespace tutti::checkpoint {

struct PruneOptions {
  std::int64_t keep = 3;             ///< how many of the newest good checkpoints stay, at least 1
  std::int64_t keep_every = 0;       ///< those of steps divisible by this stay too; 0: none
  bool dry_run = false;              ///< only tells; a save under way looks like a leftover
  std::optional<Encryption> keys{};  ///< for checkpoints that are encrypted
  /// Told of bytes read. What it throws ends it before anything is removed.
  std::function<void(std::uint64_t)> progress{};
};

/// Paths.
struct Pruned {
  std::vector<std::string> kept, removed;
  std::vector<std::string> damaged;    ///< these stay, and count for nothing
  std::vector<std::string> busy;       ///< were to be removed, but are being read
  std::vector<std::string> leftovers;  ///< of saves and removals that did not end: removed too
};

/// Removes old checkpoints of the run in `directory`, and what interrupted saves left. Before that it reads those that stay,
/// newest first, until one is good to its last byte; those that are not are damaged. So the last good one is never removed.
/// \throws CheckpointError when a save is under way, and when something cannot be read or removed; ConfigError for options that
///         cannot be.
Pruned prune(const std::string& directory, const PruneOptions& options);

/// Makes the encrypted checkpoint `path` one for `recipients`, all of them and no others: its keys.json is replaced, atomically,
/// and no other file is read or written. `keys` open it now.
/// \throws CheckpointError when it is not encrypted, no key opens it, or a recipient cannot wrap; ConfigError for recipients
///         that cannot be.
void rewrap(const std::string& path, const Encryption& keys, const Encryption& recipients);

}  // namespace tutti::checkpoint
