// The command line.
#pragma once

#include "benchmarks/collective.h"
#include "benchmarks/settings.h"

namespace tutti::bench {

struct Command {
  const Collective* collective = nullptr;  // none: the memory is measured
  Settings settings;
};

// Returns the command, or the exit code in `code` when there is nothing to do: help, or a mistake.
Command parse(int argc, char** argv, int& code);

}  // namespace tutti::bench
