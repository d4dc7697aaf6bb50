// The back end that suits where the ranks of an MPI communicator are.
#pragma once

#include <mpi.h>

#include <chrono>
#include <memory>

#include "comm/mpi/session.h"
#include "tutti/comm/backend.h"

namespace tutti::comm {

struct MpiOptions {
  int ranks_sharing_memory;           // at most; 0 or 1 for none
  std::chrono::milliseconds timeout;  // for joining
};

// Every rank of `comm` calls it.
std::unique_ptr<Backend> make_mpi_backend(std::shared_ptr<MpiSession> session, MPI_Comm comm,
                                          const MpiOptions& options);

}  // namespace tutti::comm
