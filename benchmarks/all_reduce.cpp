#include "benchmarks/values.h"

namespace tutti::bench {

const Collective all_reduce{
    .name = "all_reduce",
    .summary = "Sum (or another reduction) of a buffer over all ranks, to all of them",
    .reduces = true,
    .moves_as_a_copy = true,
    .bus_factor = [](int ranks) { return 2.0 * (ranks - 1) / ranks; },
    .run = [](Communicator& comm, const Operands& operands,
              ReduceOp op) { comm.all_reduce(operands.in, operands.out, op); },
    .input = [](const Element& e, ReduceOp op) { return summand(e.index, e.block, e.rank, op); },
    .result = [](const Element& e, ReduceOp op,
                 DType dtype) { return reduction(e.index, e.block, e.ranks, op, dtype); },
};

}  // namespace tutti::bench
