// What tutti-bench knows about a collective.
#pragma once

#include <cstddef>
#include <vector>

#include "benchmarks/settings.h"
#include "tutti/comm/communicator.h"

namespace tutti::bench {

// The buffers of one call. In place, `in` is the part of `out` that holds this rank's input.
struct Operands {
  BufferView in;
  BufferView out;
  bool in_place;
};

// Element `index` of block `block` of a buffer of rank `rank`. A buffer that is not divided is one block.
struct Element {
  std::size_t index;
  int block;
  int rank;
  int ranks;
};

struct Collective {
  const char* name;
  const char* summary;
  bool sized = true;         // barrier is not
  bool reduces = false;      // whether `--op` means anything
  bool out_of_place = true;  // which forms there are
  bool in_place = true;
  bool in_per_rank = false;  // whether the buffer holds a block for each rank, or one
  bool out_per_rank = false;
  bool moves_as_a_copy = false;  // a rank must read and write as many bytes as in a copy of its buffer
  // Bytes that the busiest link must carry for each byte of the larger buffer, as in nccl-tests.
  double (*bus_factor)(int ranks);
  void (*run)(Communicator& comm, const Operands& operands, ReduceOp op);
  // What a rank brings, and what it must get.
  double (*input)(const Element& element, ReduceOp op);
  double (*result)(const Element& element, ReduceOp op, DType dtype);
};

extern const Collective all_reduce, reduce_scatter, all_gather, broadcast, all_to_all, send_recv, barrier;

inline constexpr const Collective* collectives[] = {&all_reduce, &reduce_scatter, &all_gather, &broadcast,
                                                    &all_to_all, &send_recv,      &barrier};

// Bytes of the larger buffer, as far as they can be told before it is divided among the ranks.
std::vector<std::size_t> sizes_of(const Collective& collective, const Settings& settings);

}  // namespace tutti::bench
