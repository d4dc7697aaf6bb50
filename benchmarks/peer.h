// What Tutti is measured against, on the same ranks.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "benchmarks/collective.h"
#include "benchmarks/settings.h"

namespace tutti::bench {

struct Peer {
  std::string name;  // "Open MPI v4.1.4"
  std::function<void(const Operands& operands)> call;
  std::shared_ptr<void> keep;  // what it needs while it is used
};

// The same collective of the MPI that Tutti was built with, on the ranks that mpirun started.
// Throws ConfigError where there is no MPI or where it has other ranks, or lacks the type or the reduction.
Peer mpi_peer(const Communicator& comm, const Collective& collective, const Settings& settings);

// All-reduce of Gloo over TCP on the loopback interface.
// Throws ConfigError where there is no Gloo, or where it lacks the collective, the type or the reduction.
Peer gloo_peer(Communicator& comm, const Collective& collective, const Settings& settings);

// Settings that MPI takes when its processes start.
struct Tuning {
  std::string name;
  std::vector<std::pair<std::string, std::string>> environment;
  bool of_all_reduce = false;  // means nothing to other collectives
};

inline constexpr auto as_installed = "installed";
inline constexpr auto as_started = "as started";  // by a launcher, with whatever its environment says

// Those that `settings.tunings` asks for: "installed", "tuned" or "all".
std::vector<Tuning> mpi_tunings(const Collective& collective, const Settings& settings);

}  // namespace tutti::bench
