// The command line.
#pragma once

#include <optional>

#include "benchmarks/checkpoint.h"
#include "benchmarks/collective.h"
#include "benchmarks/manifest.h"
#include "benchmarks/ops.h"
#include "benchmarks/settings.h"
#include "benchmarks/train.h"

namespace tutti::bench {

struct Command {
  const Collective* collective = nullptr;
  std::optional<TrainSettings> train;
  std::optional<CheckpointSettings> checkpoint;
  std::optional<OpsSettings> ops;
  std::optional<ManifestSettings> manifest;  // if none of these is there, the memory is measured
  Settings settings;
};

// Returns the command, or the exit code in `code` when there is nothing to do: help, or a mistake.
Command parse(int argc, char** argv, int& code);

}  // namespace tutti::bench
