// MPI's own reductions, for sums whose order does not matter.
#pragma once

#include "comm/mpi/group.h"
#include "tutti/core/buffer_view.h"

namespace tutti::comm {

// Whether MPI has the type and the reduction, with Tutti's meaning: its minimum and maximum may lose a NaN.
bool engine_has(DType dtype, ReduceOp op);

// Among ranks that have met.
void engine_all_reduce(MpiGroup& group, const Running& running, ConstBufferView in, BufferView out,
                       ReduceOp op);
// False where the blocks are too large for MPI's counts, and nothing was done.
bool engine_reduce_scatter(MpiGroup& group, const Running& running, ConstBufferView in, BufferView out,
                           ReduceOp op);

}  // namespace tutti::comm
