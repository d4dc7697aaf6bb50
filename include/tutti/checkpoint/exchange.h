/// \file
/// Checkpoints to and from the files that Python's tools have: `model.safetensors`, or several with
/// `model.safetensors.index.json`, as Hugging Face lays them out. Tensors are never all in memory.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tutti/checkpoint/checkpoint.h"
#include "tutti/checkpoint/encryption.h"

namespace tutti::checkpoint {

struct ExportOptions {
  /// Roles: those tensors go out. Of a single one they lose the prefix; of several they keep it. None stands for all.
  std::vector<std::string> parts = {"model"};
  /// More bytes of tensors go to several files with an index; a tensor that is larger by itself has its own file. 0: one file.
  std::uint64_t max_shard_bytes = 0;
  /// Told of bytes done. What it throws ends the export.
  std::function<void(std::uint64_t)> progress{};
};

struct Exported {
  std::vector<std::string> files;  ///< paths; the index, if there is one, is the last
  std::size_t tensors = 0;
  std::uint64_t bytes = 0;  ///< of tensors
};

/// The tensors that an export of `parts` holds, in the order of the checkpoint.
/// \throws CheckpointError when a part is not there: it names those that are.
std::vector<Checkpoint::TensorInfo> tensors_of(const Checkpoint& checkpoint,
                                               const std::vector<std::string>& parts);

/// Writes `to`, a file where that ends with ".safetensors", else a directory: `model.safetensors` in it, by the name of the
/// part, or `state.safetensors` of several parts. All bytes are verified on the way. Nothing is replaced, and all or nothing
/// appears, the index last; it outlives a power cut when this returns.
/// \throws CheckpointError when the checkpoint is damaged, when a file is there already, or cannot be written; ConfigError for
///         `max_shard_bytes` with a file.
Exported export_safetensors(const Checkpoint& checkpoint, const std::string& to,
                            const ExportOptions& options = {});

struct ImportOptions {
  /// The role that the tensors get; empty where their names begin with roles.
  std::string part = "model";
  std::int64_t steps = 0;  ///< done
  std::int64_t logical_ranks = 1;
  /// For those recipients, as a Checkpointer encrypts: no byte of a tensor is on disk in plaintext. Needs OpenSSL, and the name
  /// "step-..." of those steps for `to`.
  std::optional<Encryption> encrypt{};
  std::function<void(std::uint64_t)> progress{};  ///< as that of an export
};

/// Makes the checkpoint `to`, which must not be there, of `from`: a safetensors file, or an index (*.json) with the files that
/// it names beside it. All or nothing, for power cuts too. For a Checkpointer, `to` is "run/step-0000000000" with those steps.
/// \throws CheckpointError when `from` breaks a rule of its format, has a dtype or shape that Tutti has not, or `to` cannot
///         be written, or is plaintext for a run that has encrypted checkpoints; ConfigError for options that cannot be, for a
///         name of `to` with other steps, and for encryption without OpenSSL.
void import_safetensors(const std::string& from, const std::string& to, const ImportOptions& options = {});

}  // namespace tutti::checkpoint
