/// \file
/// One checkpoint, looked at by itself: without the program that wrote it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tutti/checkpoint/encryption.h"
#include "tutti/checkpoint/train_state.h"
#include "tutti/comm/communicator.h"
#include "tutti/core/dtype.h"
#include "tutti/core/shape.h"

namespace tutti {

namespace checkpoint {
class OpenCheckpoint;
}

/// An open checkpoint. Retention leaves it alone while it is open.
class Checkpoint {
 public:
  struct TensorInfo {
    std::string name;  ///< behind its role and a dot: "model.wte.weight"
    DType dtype = DType::f32;
    Shape shape;
    std::uint64_t bytes = 0;
    std::size_t files = 1;  ///< that have a piece of it
  };
  struct FileInfo {
    std::string name;
    std::uint64_t bytes = 0;  ///< before encryption
  };

  /// Reads the manifest. One that is encrypted needs `keys`, and the name "step-..." that it was saved under; with keys, no
  /// other is taken. \throws CheckpointError when there is none, it is not as it should be, or no key opens it.
  explicit Checkpoint(const std::string& path, const std::optional<Encryption>& keys = {});
  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;
  ~Checkpoint();

  /// Paths of the checkpoints in the directory of a run, newest first; those that are damaged too.
  static std::vector<std::string> list(const std::string& directory);

  const std::string& path() const;
  std::int64_t steps() const;  ///< done
  std::int64_t world_size() const;
  std::int64_t logical_ranks() const;
  const std::string& uuid() const;
  const std::string& tutti_version() const;
  /// Of the manifest, and so of all bytes: 32 hexadecimal digits.
  const std::string& digest() const;
  bool encrypted() const { return encrypted_; }
  const std::vector<FileInfo>& files() const { return files_; }
  /// In the order of the state.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  /// \throws CheckpointError when there is no tensor of that name.
  const TensorInfo& at(std::string_view name) const;

  /// Reads the whole tensor, on the host, and verifies it. \throws CheckpointError naming file, tensor and offset.
  Tensor read(std::string_view name) const;
  /// Reads elements [first, first + out.count) of it, row-major. \throws also DTypeError, ShapeError.
  void read(std::string_view name, std::int64_t first, BufferView out) const;
  /// All of them. Memory for all is needed.
  NamedTensors load() const;

  struct Damage {
    std::string file, message;
    std::int64_t offset = -1;     ///< in the file, where it is known
    std::string tensor;           ///< the first one there; "" where it is not known, as the next
    std::string expected, found;  ///< checksums of the chunk there
  };
  /// Reads every byte; `progress` is told of bytes done, by several threads, and what it throws ends it. Returns every damaged
  /// chunk, up to 100 of each file; of an encrypted file a place in each 16 MiB.
  std::vector<Damage> verify(const std::function<void(std::uint64_t)>& progress = {}) const;

  /// As tutti::fingerprint(state) was when it was saved. Reads everything.
  std::string fingerprint() const;

 private:
  bool encrypted_;
  std::unique_ptr<checkpoint::OpenCheckpoint> open_;
  std::vector<FileInfo> files_;
  std::vector<TensorInfo> tensors_;
};

namespace checkpoint {

struct SaveOptions {
  std::int64_t steps = 0;    ///< done
  bool single_file = false;  ///< see CheckpointerOptions
};

/// Saves `state` as one checkpoint of its own, in `directory`, which must not be there while the one that it is in must. All
/// or nothing, and it outlives a power cut when this returns. A collective call, as the next.
/// \throws CheckpointError
void save(const TrainState& state, const std::string& directory, Communicator& world,
          const SaveOptions& options = {});
void save(const TrainState& state, const std::string& directory, const SaveOptions& options = {});
/// Puts such a one back, or one of a Checkpointer; on any number of ranks. Returns the steps done.
/// \throws CheckpointError when it is damaged, and says whether that leaves `state` overwritten in part; and else as
///         Checkpointer::restore.
std::int64_t load(const TrainState& state, const std::string& directory, Communicator& world);
std::int64_t load(const TrainState& state, const std::string& directory);

}  // namespace checkpoint
}  // namespace tutti
