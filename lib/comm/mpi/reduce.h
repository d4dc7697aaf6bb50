// Reductions over MPI: the messages carry bytes, the arithmetic is Tutti's own, in its one order.
#pragma once

#include "comm/mpi/group.h"
#include "tutti/core/buffer_view.h"

namespace tutti::comm {

// Block r of `in`, size() blocks of `out.count` elements, reduced to rank r's `out`.
void mpi_reduce_scatter(MpiGroup& group, const Running& running, ConstBufferView in, BufferView out,
                        ReduceOp op);
void mpi_all_reduce(MpiGroup& group, const Running& running, ConstBufferView in, BufferView out, ReduceOp op);

}  // namespace tutti::comm
