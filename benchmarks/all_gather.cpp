#include "benchmarks/values.h"

namespace tutti::bench {

const Collective all_gather{
    .name = "all_gather",
    .summary = "A block of each rank, to all of them",
    .out_per_rank = true,
    .bus_factor = [](int ranks) { return (ranks - 1.0) / ranks; },
    .run =
        [](Communicator& comm, const Operands& operands, ReduceOp) {
          if (operands.in_place) {
            comm.all_gather(operands.out);
          } else {
            comm.all_gather(operands.in, operands.out);
          }
        },
    .input = [](const Element& e, ReduceOp) { return moved(e.index, 0, e.rank); },
    .result = [](const Element& e, ReduceOp, DType) { return moved(e.index, 0, e.block); },
};

}  // namespace tutti::bench
