#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "comm/mpi.h"
#include "comm/mpi/make.h"
#include "tutti/core/error.h"

namespace tutti::comm {
namespace {

// Ranks of a machine that may run on the same cores as this one: all of them, or where mpirun bound each to its own, it
// alone.
int ranks_on_these_cores(MPI_Comm machine) {
  int size = 0;
  MPI_Comm_size(machine, &size);
  cpu_set_t mine;
  CPU_ZERO(&mine);
  ::sched_getaffinity(0, sizeof mine, &mine);
  std::vector<cpu_set_t> sets(static_cast<std::size_t>(size));
  check_mpi(MPI_Allgather(&mine, sizeof mine, MPI_BYTE, sets.data(), sizeof mine, MPI_BYTE, machine),
            "MPI_Allgather");
  return static_cast<int>(
      std::count_if(sets.begin(), sets.end(), [&](const cpu_set_t& set) { return CPU_EQUAL(&set, &mine); }));
}

}  // namespace

bool mpi_running() { return MpiSession::usable(); }

MpiWorld make_mpi_world(const Launch& launch, int* argc, char*** argv) {
  auto session = MpiSession::join(argc, argv);
  int size = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  // The mpirun of another MPI, or tutti-run: each process would be a rank 0 of its own.
  if (launch.size > 0 && !launch.launcher.empty() && size != launch.size) {
    throw ConfigError(
        fmt::format("World: {} started {} ranks, but MPI sees {}: MPI ranks are started by the mpirun of the "
                    "MPI that was linked",
                    launch.launcher, launch.size, size));
  }
  MpiWorld world{nullptr, 0, 1};
  MPI_Comm machine;
  check_mpi(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine),
            "MPI_Comm_split_type");
  MPI_Comm_rank(machine, &world.local_rank);
  MPI_Comm_size(machine, &world.local_size);
  world.ranks_on_cores = ranks_on_these_cores(machine);
  MPI_Comm_free(&machine);
  world.backend =
      make_mpi_backend(std::move(session), MPI_COMM_WORLD,
                       {launch.ranks_sharing_memory, launch.timeout.value_or(std::chrono::minutes(5))});
  return world;
}

}  // namespace tutti::comm
