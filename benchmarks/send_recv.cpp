#include "benchmarks/values.h"

namespace tutti::bench {

const Collective send_recv{
    .name = "send_recv",
    .summary = "Around the ring: a buffer to the next rank, one from the previous",
    .in_place = false,
    .bus_factor = [](int) { return 1.0; },
    .run =
        [](Communicator& comm, const Operands& operands, ReduceOp) {
          const int next = (comm.rank() + 1) % comm.size();
          const int previous = (comm.rank() + comm.size() - 1) % comm.size();
          comm.send_recv(operands.in, next, operands.out, previous);
        },
    .input = [](const Element& e, ReduceOp) { return moved(e.index, 0, e.rank); },
    .result = [](const Element& e, ReduceOp,
                 DType) { return moved(e.index, 0, (e.rank + e.ranks - 1) % e.ranks); },
};

}  // namespace tutti::bench
