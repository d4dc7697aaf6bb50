/// \file
/// Saving a training run every so often, and going on from where it stood.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tutti/checkpoint/encryption.h"
#include "tutti/checkpoint/train_state.h"
#include "tutti/comm/communicator.h"

namespace tutti {

namespace checkpoint {
class Saver;
class Saving;
}  // namespace checkpoint

/// What `save` does while the save before is not done.
enum class WhenBusy : std::uint8_t {
  wait,  ///< for it
  skip,  ///< leaves this one out
  fail,  ///< throws
};

struct CheckpointerOptions {
  std::int64_t every_steps = 100;
  std::int64_t keep = 3;        ///< how many of the newest checkpoints stay
  std::int64_t keep_every = 0;  ///< those of steps divisible by this stay for ever; 0: none
  /// `save` returns when the state is copied, and the rest is done by a thread; else it returns when the checkpoint
  /// outlives a power cut.
  bool async = true;
  WhenBusy when_busy = WhenBusy::wait;
  /// model.safetensors with the whole model and train.safetensors with the rest, in place of a shard of each rank. So it
  /// is in a world of one rank anyway. The state has to be whole on rank 0, which writes it alone.
  bool single_file = false;
  /// Checkpoints are written encrypted for these recipients, and plain ones are not accepted.
  std::optional<Encryption> encrypt{};
  /// How long ranks wait for each other's part of a save.
  std::chrono::milliseconds timeout = std::chrono::minutes(30);
};

/// A save under way, or done. A handle: copies are of the same save. None where nothing was to be saved.
class Save {
 public:
  Save() = default;
  explicit Save(std::shared_ptr<checkpoint::Saving> saving) : saving_(std::move(saving)) {}

  /// Whether there is one.
  explicit operator bool() const { return saving_ != nullptr; }
  /// Returns when the checkpoint outlives a power cut. At once where there is none.
  /// \throws CheckpointError with what stopped it, on every rank: older checkpoints are as they were.
  void wait() const;
  /// Whether `wait` would return, or throw, at once.
  bool done() const;

  struct Progress {
    std::uint64_t bytes = 0;             ///< that this rank has to write
    std::uint64_t written = 0;           ///< of them
    std::chrono::nanoseconds stall{};    ///< how long `save` took: what the loop lost
    std::chrono::nanoseconds elapsed{};  ///< from the call until now, or until it was done
  };
  Progress progress() const;

 private:
  std::shared_ptr<checkpoint::Saving> saving_;
};

/// What `restore` came to.
struct Restored {
  std::int64_t steps = 0;  ///< done; 0 where there was no checkpoint
  std::string path;        ///< of the checkpoint
  std::string
      digest;  ///< of its manifest, and so of all its bytes: what to compare with to know that it is that one
  struct PassedOver {
    std::string path, reason;
  };
  std::vector<PassedOver> passed_over;  ///< newer ones that are damaged
  std::uint64_t bytes_read = 0;         ///< by this rank
  std::chrono::nanoseconds elapsed{};
};

/// Checkpoints of one run in one directory, which all ranks see:
///
///     run/step-0000000100/model.safetensors    the model, by PyTorch's names
///     run/step-0000000100/train.safetensors    optimizer.*, data.*, ...
///     run/step-0000000100/manifest.json        what is where, with checksums
///
/// and in a world of several ranks, which write side by side, shard-00000-of-00004.safetensors, ... in place of the first two. The number is that
/// of the steps done. A checkpoint is written under a hidden name, synced to disk, and then renamed: it is there as a
/// whole, or not at all. What every rank holds is written once, each rank writing a part. A world of any size, with any sharding, can go on
/// from it, as long as it has as many logical ranks: each rank reads what it needs. See docs/checkpoints.md.
///
/// The constructor, `restore`, `save` and `save_now` are collective calls: all ranks make them, and what fails on one
/// throws on all.
class Checkpointer {
 public:
  /// Makes the directory.
  /// \throws CheckpointError when it cannot be made or written, ConfigError for options that cannot be.
  Checkpointer(std::string directory, Communicator& world, CheckpointerOptions options = {});
  /// Waits for the save under way; its failure, if nobody saw it, goes to the log.
  ~Checkpointer();
  Checkpointer(Checkpointer&&) noexcept;
  Checkpointer& operator=(Checkpointer&&) = delete;

  const std::string& directory() const { return directory_; }

  /// Puts the newest checkpoint back into `state` and returns the step to go on with; 0 when there is none.
  /// One that is damaged is passed over for the next older one: `restored()` and a warning in the log say so. What is no
  /// checkpoint of this state is refused before `state` is touched. Tensors of models and optimizers on the CPU are then read
  /// to where they are, each chunk once it is verified, which takes no memory beside them; all others, and parts of other kinds
  /// (InPlaceStateful), are read and verified first.
  /// \throws CheckpointError when all are damaged, and says whether that leaves `state` overwritten in part; when the newest
  ///         was saved with another number of logical ranks: it names both; when it is another run's, by its model, optimizer, seeds or data: it names the
  ///         missing, unexpected and mis-shaped tensors, or both values, and `state` is as it was (TrainState::load); and when
  ///         it cannot be opened by the keys that were given.
  std::int64_t restore(const TrainState& state);
  /// About the last `restore`.
  const Restored& restored() const { return restored_; }

  /// Saves `state` after step `step` (counted from 0) if `every_steps` divides the number of steps done. Changes that are
  /// made to the state when it has returned are not in the checkpoint. Once it is there, older ones beyond `keep` go.
  /// \throws CheckpointError when the save before failed and nobody has seen it; when `WhenBusy::fail` and it is not done; when
  ///         the directory holds a checkpoint of a later step: another run's, or one that was not restored; and in the
  ///         middle of a step, when a loader has given some of its micro-batches. Older checkpoints are untouched then.
  Save save(std::int64_t step, const TrainState& state);
  /// The same at any step; a checkpoint of this step is replaced.
  Save save_now(std::int64_t step, const TrainState& state);

  /// Waits for the save under way. \throws CheckpointError when it failed, or the one before did and nobody has seen it.
  void drain();
  /// Gives the save under way up, on every rank, unless it is past that.
  void abandon();

 private:
  std::string directory_;
  Communicator* world_;
  CheckpointerOptions options_;
  std::unique_ptr<checkpoint::Saver> saver_;
  Restored restored_;
};

}  // namespace tutti
