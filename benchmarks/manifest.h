// The manifest of a large checkpoint: its size, and the time to write and to parse it.
#pragma once

#include <cstddef>

#include "benchmarks/settings.h"

namespace tutti::bench {

struct ManifestSettings {
  std::size_t tensors = 10'000;
  std::size_t files = 1'000;
};

// On this process alone. Returns the exit code: 1 where what is parsed is not what was written.
int measure_manifest(const Settings& settings, const ManifestSettings& manifest);

}  // namespace tutti::bench
