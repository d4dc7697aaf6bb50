// The MPI back end, whether it is built or not.
#pragma once

#include <memory>

#include "comm/launcher.h"
#include "tutti/comm/backend.h"

namespace tutti::comm {

// Whether somebody in this process has initialised MPI and not finalised it.
bool mpi_running();

struct MpiWorld {
  std::unique_ptr<Backend> backend;
  int local_rank;
  int local_size;
  int ranks_on_cores = 1;  // that may run on the same cores as this one
};

// All ranks of MPI_COMM_WORLD. Initialises MPI where nobody has, and then finalises it with the last
// communicator. Throws ConfigError when MPI is not built, or when it sees other ranks than the launcher
// started.
MpiWorld make_mpi_world(const Launch& launch, int* argc, char*** argv);

}  // namespace tutti::comm
