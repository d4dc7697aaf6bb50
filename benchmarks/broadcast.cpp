#include "benchmarks/values.h"

namespace tutti::bench {

const Collective broadcast{
    .name = "broadcast",
    .summary = "The buffer of rank 0, to all ranks",
    .out_of_place = false,
    .bus_factor = [](int) { return 1.0; },
    .run = [](Communicator& comm, const Operands& operands, ReduceOp) { comm.broadcast(operands.out, 0); },
    .input = [](const Element& e, ReduceOp) { return moved(e.index, 0, e.rank); },
    .result = [](const Element& e, ReduceOp, DType) { return moved(e.index, 0, 0); },
};

}  // namespace tutti::bench
