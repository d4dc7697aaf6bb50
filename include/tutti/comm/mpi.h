/// \file
/// Ranks of an application that uses MPI itself.
#pragma once

#include <cstddef>

#include "tutti/comm/communicator.h"

namespace tutti::comm {

/// The same, for the bytes of an `MPI_Comm`.
Communicator from_mpi(const void* comm, std::size_t bytes);

/// The ranks of `comm`, an `MPI_Comm` of the application, in their order; each of them calls this. Tutti works on a
/// copy, so that its messages never meet the application's, and leaves `comm` and `MPI_Finalize` to the application:
///
///     MPI_Comm_split(MPI_COMM_WORLD, color, key, &half);
///     tutti::Communicator ranks = tutti::comm::from_mpi(half);
///
/// Any thread level will do. Below MPI_THREAD_MULTIPLE use the communicator on the thread that made it; where its ranks
/// are on several machines, asynchronous collectives are then done when the call returns. It may outlive
/// `MPI_Finalize`, but can then only be destroyed.
/// \throws ConfigError where MPI is not running, Tutti was built without MPI or with another one, or `comm` is
///         no group of ranks.
template <typename MpiComm>
Communicator from_mpi(MpiComm comm) {
  return from_mpi(&comm, sizeof comm);
}

}  // namespace tutti::comm
