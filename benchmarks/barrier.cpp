#include "benchmarks/values.h"

namespace tutti::bench {

const Collective barrier{
    .name = "barrier",
    .summary = "Every rank waits for all of them",
    .sized = false,
    .out_of_place = false,
    .bus_factor = [](int) { return 0.0; },
    .run = [](Communicator& comm, const Operands&, ReduceOp) { comm.barrier(); },
    .input = [](const Element&, ReduceOp) { return 0.0; },
    .result = [](const Element&, ReduceOp, DType) { return 0.0; },
};

}  // namespace tutti::bench
