// Who writes what.
#pragma once

#include <cstddef>
#include <vector>

#include "checkpoint/manifest.h"

namespace tutti::checkpoint {

// Bytes of a tensor, by its place in the state.
struct Piece {
  std::size_t tensor;
  Sharding::Range range;
};

struct PlannedFile {
  std::size_t file;  // in the manifest
  std::vector<Piece> pieces;
};

struct SavePlan {
  Manifest manifest;               // without what is known when the files are written
  std::vector<PlannedFile> files;  // of this rank
  bool sharded = false;            // one file a rank; else rank 0 has all of them
};

// `manifest` with the files and tensors of `state`, the same on every rank. What all of them hold is laid side by side and cut into shares of one size. Throws
// CheckpointError where `single_file` is asked for and a tensor is spread over ranks.
SavePlan plan_save(Manifest manifest, const ShardedTensors& state, int rank, int ranks, bool single_file);

}  // namespace tutti::checkpoint
