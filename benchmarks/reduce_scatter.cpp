#include "benchmarks/values.h"

namespace tutti::bench {

const Collective reduce_scatter{
    .name = "reduce_scatter",
    .summary = "Reduction of a buffer over all ranks, a block of it to each",
    .reduces = true,
    .in_place = false,
    .in_per_rank = true,
    .bus_factor = [](int ranks) { return (ranks - 1.0) / ranks; },
    .run = [](Communicator& comm, const Operands& operands,
              ReduceOp op) { comm.reduce_scatter(operands.in, operands.out, op); },
    .input = [](const Element& e, ReduceOp op) { return summand(e.index, e.block, e.rank, op); },
    .result = [](const Element& e, ReduceOp op,
                 DType dtype) { return reduction(e.index, e.rank, e.ranks, op, dtype); },
};

}  // namespace tutti::bench
