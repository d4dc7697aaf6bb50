// Floating-point reductions in Tutti's one order: NCCL carries bytes, a kernel of Tutti's adds.
#pragma once

#include "comm/nccl/group.h"
#include "tutti/core/buffer_view.h"

namespace tutti::comm {

// Block r of `in`, size() blocks of `out.count` elements, reduced to rank r's `out`.
void nccl_tree_reduce_scatter(NcclGroup& group, const NcclCall& running, ConstBufferView in, BufferView out,
                              ReduceOp op);
void nccl_tree_all_reduce(NcclGroup& group, const NcclCall& running, ConstBufferView in, BufferView out,
                          ReduceOp op);

}  // namespace tutti::comm
