// One row of the table.
#pragma once

#include <cstddef>
#include <string>

#include "benchmarks/collective.h"

namespace tutti::bench {

struct Settings {
  int ranks = 2;
  std::string backend = "shm";
  std::size_t min_bytes = 4 << 10;
  std::size_t max_bytes = 256 << 20;
  std::size_t factor = 4;
  DType dtype = DType::f32;
  ReduceOp op = ReduceOp::sum;
  int iterations = 0;  // 0: as many as fill a twentieth of a second
  int rounds = 5;
  bool shared_buffers = false;  // from Communicator::allocate
  std::string vs;               // "mpi": measure it too, by turns
  std::string json;
};

struct Timing {
  double microseconds;         // of one call: the median over rounds of the slowest rank's mean
  double algorithm_bandwidth;  // GB/s: size / time
  double bus_bandwidth;        // GB/s: what the slowest link carried
  std::size_t wrong;           // elements, over all ranks
};

struct Row {
  std::size_t bytes;
  std::size_t count;
  Timing out_of_place;
  Timing in_place;
};

// Every rank calls it, and all get the same row.
Row measure(Communicator& comm, const Collective& collective, const Settings& settings, std::size_t bytes);

}  // namespace tutti::bench
