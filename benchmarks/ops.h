// Operations, each beside what memory gives.
#pragma once

#include <string>

#include "benchmarks/settings.h"
#include "tutti/core/dtype.h"

namespace tutti::bench {

struct OpsSettings {
  std::string filter;  // measures those with it in their name
  std::string device = "cpu";
  DType dtype = DType::f32;
};

// On a lone process. Returns the exit code.
int measure_ops(const Settings& settings, const OpsSettings& ops);

}  // namespace tutti::bench
