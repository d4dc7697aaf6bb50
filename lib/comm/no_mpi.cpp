#include <fmt/format.h>

#include "comm/mpi.h"
#include "comm/self/self.h"
#include "tutti/comm/mpi.h"
#include "tutti/core/error.h"

namespace tutti::comm {

namespace {

constexpr const char* not_built =
    "this Tutti was built without MPI (TUTTI_MPI=OFF, or no libopenmpi-dev when it was configured)";

}  // namespace

bool mpi_running() { return false; }

MpiWorld make_mpi_world(const Launch& launch, int*, char***) {
  // A batch system's interactive shell looks like mpirun -n 1.
  if (launch.launcher == "mpirun" && launch.size == 1) return {make_self_backend(), 0, 1};
  const auto asked = launch.launcher == "mpirun" && launch.size > 0
                         ? fmt::format("mpirun started {} ranks", launch.size)
                     : launch.launcher == "mpirun" ? std::string("mpirun started this process")
                                                   : std::string("TUTTI_BACKEND=mpi");
  throw ConfigError(fmt::format("World: {}, but {}: build it with MPI, or start the ranks with tutti-run",
                                asked, not_built));
}

Communicator from_mpi(const void*, std::size_t) { throw ConfigError(fmt::format("from_mpi: {}", not_built)); }

}  // namespace tutti::comm
