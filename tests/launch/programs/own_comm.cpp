// An application that hands its own communicators to Tutti, under the thread level that its argument names.
#include <fmt/format.h>
#include <mpi.h>

#include <string>
#include <vector>

#include "tutti/comm/mpi.h"
#include "tutti/core/error.h"

int main(int argc, char** argv) {
  const std::string asked = argc > 1 ? argv[1] : "multiple";
  const int level = asked == "single"     ? MPI_THREAD_SINGLE
                    : asked == "funneled" ? MPI_THREAD_FUNNELED
                                          : MPI_THREAD_MULTIPLE;
  MPI_Comm null = MPI_COMM_NULL, half;
  const auto refused = [](auto comm) {
    try {
      tutti::comm::from_mpi(comm);
      return std::string("accepted");
    } catch (const tutti::ConfigError& error) {
      return std::string(error.what());
    }
  };
  const auto before = refused(MPI_COMM_WORLD);
  int granted = 0, rank = 0;
  MPI_Init_thread(&argc, &argv, level, &granted);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  if (rank == 0) fmt::print("{}\n{}\n{}\n", before, refused(null), refused('x'));

  // The upper ranks and the lower ones, each in reverse order.
  int size = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  MPI_Comm_split(MPI_COMM_WORLD, rank < size / 2, -rank, &half);
  {
    tutti::Communicator ranks = tutti::comm::from_mpi(half);
    std::vector<int> order(static_cast<std::size_t>(ranks.size()));
    std::vector<float> sum(5000, static_cast<float>(rank)), again = sum;
    auto first = ranks.all_reduce_async(sum);
    auto second = ranks.all_reduce_async(again, tutti::ReduceOp::max);
    second.wait();
    first.wait();
    ranks.all_gather(std::vector<int>{rank}, order);
    auto alone = ranks.split(ranks.rank());
    alone.barrier();
    // The application's own messages go on beside Tutti's.
    int all = 0;
    MPI_Allreduce(&rank, &all, 1, MPI_INT, MPI_SUM, half);
    fmt::print("{}: {} of {} over {}: {}, sum {} {}, max {}\n", rank, ranks.rank(), ranks.size(),
               ranks.backend(), fmt::join(order, " "), sum.back(), all, again.back());
  }
  MPI_Comm_free(&half);
  MPI_Finalize();
}
