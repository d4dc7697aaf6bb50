#include "benchmarks/peer.h"
#include "tutti/core/error.h"

namespace tutti::bench {

Peer mpi_peer(int, DType, ReduceOp) { throw ConfigError("tutti-bench: --vs mpi: this build has no MPI"); }

}  // namespace tutti::bench
