// Measuring against an MPI under several settings, which it takes when its processes start.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "benchmarks/peer.h"

namespace tutti::bench {

// Runs this program under mpirun with the same arguments, once for each tuning, one after another. Returns the
// documents of those that worked; standard error says which they are, and which did not.
std::vector<nlohmann::json> run_tunings(const std::vector<Tuning>& tunings, const Settings& settings,
                                        char** argv);

// In a rank of such a run: which it is, and where the document is wanted.
struct TunedRun {
  std::string tuning;
  std::string file;
};
std::optional<TunedRun> tuned_run();

}  // namespace tutti::bench
