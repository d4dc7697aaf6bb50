// Checkpoints on a disk: what a save stalls, how fast it is, and how fast it is read back.
#pragma once

#include <cstddef>
#include <string>

#include "benchmarks/settings.h"
#include "tutti/comm/communicator.h"

namespace tutti::bench {

struct CheckpointSettings {
  std::size_t bytes = 1'000'000'000;  // of the state, over all ranks
  std::string directory = ".";        // on the disk that is meant
  std::string state = "sharded";      // or "replicated": every rank holds the whole
  bool encrypt = false;
};

// Every rank calls it. Returns the exit code: 1 where a state came back other than it was.
int measure_checkpoints(Communicator& comm, const Settings& settings, const CheckpointSettings& checkpoint);

}  // namespace tutti::bench
