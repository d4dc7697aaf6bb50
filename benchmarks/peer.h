// What Tutti is measured against, on the same ranks and the same buffers.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "tutti/core/buffer_view.h"
#include "tutti/core/reduce_op.h"

namespace tutti::bench {

struct Peer {
  std::string name;                                                // "Open MPI v4.1.4"
  std::function<void(BufferView buffer, ReduceOp op)> all_reduce;  // in place
  std::shared_ptr<void> keep;                                      // what it needs while it is used
};

// MPI_Allreduce of the MPI that Tutti was built with, on `ranks` ranks that mpirun started.
// Throws ConfigError where there is no MPI or where it has other ranks, or lacks the type or the reduction.
Peer mpi_peer(int ranks, DType dtype, ReduceOp op);

}  // namespace tutti::bench
