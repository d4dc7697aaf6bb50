// The rounds of `tutti-bench checkpoint`.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "benchmarks/checkpoint.h"

namespace tutti::bench {

// What was measured in each round, by its name in the JSON; the same on every rank. Times are in seconds, of the slowest rank.
using CheckpointRounds = std::map<std::string, std::vector<double>>;

struct CheckpointResult {
  CheckpointRounds rounds;
  double state_bytes = 0;   // over all ranks
  double saved_bytes = 0;   // that they write, with headers
  double loaded_bytes = 0;  // that they read, together
  std::size_t wrong = 0;    // words that came back other than they were, over all ranks
};

// A collective call.
CheckpointResult run_checkpoint_rounds(Communicator& comm, const Settings& settings,
                                       const CheckpointSettings& checkpoint);

}  // namespace tutti::bench
