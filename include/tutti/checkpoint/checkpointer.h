/// \file
/// Saving a training run every so often, and going on from where it stood.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tutti/checkpoint/train_state.h"
#include "tutti/comm/communicator.h"

namespace tutti {

struct CheckpointerOptions {
  std::int64_t every_steps = 100;
  std::int64_t keep = 3;  ///< how many of the newest checkpoints stay
};

/// Checkpoints of one run in one directory, which all ranks see:
///
///     run/step-0000000100/model.safetensors   the model, by PyTorch's names
///     run/step-0000000100/train.safetensors   optimizer.*, data.*, ...; metadata: step, world_size,
///                                             logical_ranks, tutti_version
///
/// The number is that of the steps done. A checkpoint is written under a hidden name, synced to disk, and
/// then renamed: it is there as a whole, or not at all. Saving is synchronous. The state must be the same on
/// every rank, as it is in data parallelism: rank 0 writes, and every rank can go on from it, in a world of
/// any size that has as many logical ranks.
///
/// Every member but the accessors is a collective: all ranks call it, and what fails on one throws on all.
class Checkpointer {
 public:
  /// Makes the directory.
  /// \throws CheckpointError when it cannot be made or written, ConfigError for options below 1.
  Checkpointer(std::string directory, Communicator& world, const CheckpointerOptions& options = {});

  const std::string& directory() const { return directory_; }

  /// Puts the newest checkpoint back into `state` and returns the step to go on with; 0 when there is none.
  /// One that is damaged is passed over for the next older one, with a warning to the log.
  /// \throws CheckpointError when all are damaged; when the newest was saved with another number of logical ranks:
  ///         it names both; and when it is another run's, by its model, optimizer, seeds or data: it names the
  ///         missing, unexpected and mis-shaped tensors, or both values, and `state` is as it was (TrainState::load).
  std::int64_t restore(const TrainState& state);

  /// Saves `state` after step `step` (counted from 0) if `every_steps` divides the number of steps done. When
  /// it returns true, the checkpoint outlives a power cut; older ones beyond `keep` are gone.
  /// \throws CheckpointError when the disk is full or the directory cannot be written; when it holds a
  ///         checkpoint of a later step: another run's, or one that was not restored; and in the middle of a step,
  ///         when a loader has given some of its micro-batches. Older checkpoints are untouched then.
  bool save(std::int64_t step, const TrainState& state);
  /// The same at any step; a checkpoint of this step is replaced.
  void save_now(std::int64_t step, const TrainState& state);

 private:
  std::string directory_;
  Communicator* world_;
  CheckpointerOptions options_;
  std::vector<std::int64_t> damaged_;  // passed over by restore; the next save removes them
};

}  // namespace tutti
