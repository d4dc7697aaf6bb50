#include "tutti/comm/mpi.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <cstring>

#include "comm/launcher.h"
#include "comm/mpi/make.h"
#include "tutti/core/error.h"

namespace tutti::comm {

Communicator from_mpi(const void* comm, std::size_t bytes) {
  MPI_Comm ranks = MPI_COMM_NULL;
  if (bytes != sizeof ranks) {
    throw ConfigError(
        fmt::format("from_mpi: an MPI_Comm has {} bytes in the MPI that Tutti was built with, not {}",
                    sizeof ranks, bytes));
  }
  if (!MpiSession::usable()) {
    throw ConfigError("from_mpi: MPI must be running: initialised, and not finalised yet");
  }
  std::memcpy(&ranks, comm, sizeof ranks);
  int between = 0;
  if (ranks != MPI_COMM_NULL) check_mpi(MPI_Comm_test_inter(ranks, &between), "MPI_Comm_test_inter");
  if (ranks == MPI_COMM_NULL || between) {
    throw ConfigError("from_mpi: the communicator must be one group of ranks, and not MPI_COMM_NULL");
  }
  const Environment environment = [](const char* name) { return std::getenv(name); };
  const auto timeout = find_timeout(environment).value_or(std::chrono::minutes(5));
  Communicator result(make_mpi_backend(MpiSession::join(nullptr, nullptr), ranks,
                                       {find_ranks_sharing_memory(environment), timeout}));
  result.set_timeout(timeout);
  return result;
}

}  // namespace tutti::comm
