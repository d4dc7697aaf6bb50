// Operations on the CPU, each beside what memory or the BLAS gives.
#pragma once

#include <string>

#include "benchmarks/settings.h"

namespace tutti::bench {

struct OpsSettings {
  std::string filter;  // measures those with it in their name
};

// On a lone process. Returns the exit code.
int measure_ops(const Settings& settings, const OpsSettings& ops);

}  // namespace tutti::bench
