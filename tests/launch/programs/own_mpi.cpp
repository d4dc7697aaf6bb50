// An application that is an MPI program already, and uses Tutti inside.
#include <fmt/format.h>
#include <mpi.h>

#include <vector>

#include "tutti/comm/world.h"

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank = 0, sum = 1, finalized = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  for (int time = 0; time < 2; ++time) {
    tutti::World world(argc, argv);
    std::vector<int> ones{1};
    world.all_reduce(ones);
    fmt::print("{}: {} {}\n", rank, world.backend(), ones[0]);
  }
  MPI_Finalized(&finalized);
  MPI_Allreduce(MPI_IN_PLACE, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  fmt::print("{}: then {} {}\n", rank, finalized ? "finalised" : "alive", sum);
  MPI_Finalize();
}
