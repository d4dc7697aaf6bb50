#include "benchmarks/peer.h"
#include "tutti/core/error.h"

namespace tutti::bench {
namespace {

[[noreturn]] void no_mpi() { throw ConfigError("--vs mpi: this build has no MPI"); }

}  // namespace

Peer mpi_peer(const Communicator&, const Collective&, const Settings&) { no_mpi(); }
std::vector<Tuning> mpi_tunings(const Collective&, const Settings&) { no_mpi(); }

}  // namespace tutti::bench
