#include "benchmarks/values.h"

namespace tutti::bench {

const Collective all_to_all{
    .name = "all_to_all",
    .summary = "A block of each rank to each rank",
    .in_place = false,
    .in_per_rank = true,
    .out_per_rank = true,
    .bus_factor = [](int ranks) { return (ranks - 1.0) / ranks; },
    .run = [](Communicator& comm, const Operands& operands,
              ReduceOp) { comm.all_to_all(operands.in, operands.out); },
    .input = [](const Element& e, ReduceOp) { return moved(e.index, e.block, e.rank); },
    .result = [](const Element& e, ReduceOp, DType) { return moved(e.index, e.rank, e.block); },
};

}  // namespace tutti::bench
