// The checkpoints of a run on disk, as one process sees them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tutti/tensor/named_tensor.h"

namespace tutti::checkpoint {

struct Snapshot {
  std::int64_t steps = 0;  // done
  std::int64_t world_size = 1;
  std::int64_t logical_ranks = 0;  // 0 where it is not told
  NamedTensors model;
  NamedTensors others;
};

// Makes `root` where there is none; throws CheckpointError when it cannot be written.
void prepare(const std::string& root);

// Steps done of the checkpoints in `root`, newest first.
std::vector<std::int64_t> list(const std::string& root);

// root/step-0000000100
std::string path_of(const std::string& root, std::int64_t steps);

// Throws CheckpointError when a file is missing, damaged, or of another step.
Snapshot read(const std::string& root, std::int64_t steps);

// Makes `snapshot` the newest checkpoint: durable when it returns, without a trace when it throws. Clears
// away what a process that died in here has left. Throws CheckpointError when there is one of a later step,
// not among `given_up`.
void commit(const std::string& root, const Snapshot& snapshot, const std::vector<std::int64_t>& given_up);

// A failure goes to the log.
void remove(const std::string& root, std::int64_t steps);

}  // namespace tutti::checkpoint
