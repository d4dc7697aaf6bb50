// What the command line asks for.
#pragma once

#include <cstddef>
#include <string>

#include "tutti/core/dtype.h"
#include "tutti/core/reduce_op.h"

namespace tutti::bench {

struct Settings {
  int ranks = 2;
  std::string backend = "shm";
  std::size_t min_bytes = 4 << 10;
  std::size_t max_bytes = 256 << 20;
  std::size_t factor = 4;
  DType dtype = DType::f32;
  ReduceOp op = ReduceOp::sum;
  int iterations = 0;  // in a round; 0: as many as fill a tenth of a second
  int rounds = 5;
  bool registered = false;      // buffers from Communicator::allocate
  bool out_of_place = false;    // with `vs`: also where the collective works in place
  std::string vs;               // "mpi" or "gloo": measure it too, by turns
  std::string tunings = "all";  // of Open MPI
  std::string json;
};

}  // namespace tutti::bench
