// Who started this process, and as which rank.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace tutti::comm {

struct Launch {
  std::string launcher;  // "tutti-run" or "mpirun"; empty for a lone process
  std::string backend;   // "self", "shm" or "mpi"
  bool gpus = false;     // NCCL besides it, a GPU for each rank
  int rank = 0;
  int size = 1;  // 0 where the launcher keeps it to MPI
  int local_rank = 0;
  int local_size = 1;
  std::string job;  // a name that the ranks of this run share, and no other run has
  std::optional<std::chrono::milliseconds> timeout;
  int logical_ranks = 0;                                 // 0 where nothing is said of them
  int ranks_sharing_memory = most_ranks_sharing_memory;  // at most, of those that MPI started

  static constexpr int most_ranks_sharing_memory = 1024;
};

// The value of a variable, or null: `std::getenv`, or a test's.
using Environment = std::function<const char*(const char*)>;

// TUTTI_MPI_SHARED_MEMORY and TUTTI_TIMEOUT alone, for programs that have started MPI themselves.
int find_ranks_sharing_memory(const Environment& environment);
std::optional<std::chrono::milliseconds> find_timeout(const Environment& environment);

// `mpi_running`: the application has initialised MPI itself.
// Throws ConfigError naming the variable and its value.
Launch find_launch(const Environment& environment, bool mpi_running);

}  // namespace tutti::comm
