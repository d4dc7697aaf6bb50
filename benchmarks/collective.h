// What tutti-bench knows about a collective.
#pragma once

#include <cstdint>

#include "tutti/comm/communicator.h"

namespace tutti::bench {

// Inputs and results are made of small whole numbers, repeated: exact in every type, and known without a sum.
constexpr std::size_t period = 840;

struct Collective {
  const char* name;
  const char* summary;
  bool reduces;  // whether `--op` means anything
  // Bytes that the busiest link must carry for each byte of the buffer, as in nccl-tests.
  double (*bus_factor)(int ranks);
  // `in` and `out` are the same for the form in place.
  void (*run)(Communicator& comm, ConstBufferView in, BufferView out, ReduceOp op);
  // Element `index` (below `period`) of rank `rank`'s input, and of its result.
  double (*input)(std::size_t index, int rank, int ranks, ReduceOp op);
  double (*result)(std::size_t index, int rank, int ranks, ReduceOp op, DType dtype);
};

extern const Collective all_reduce;

}  // namespace tutti::bench
