// Sums that are made in two steps, first of each node and then of the nodes, with the bits of one step.
#pragma once

#include <cstddef>

#include "tutti/core/dtype.h"
#include "tutti/core/reduce_op.h"

namespace tutti::comm {

// How a node's part of a reduction is kept: sums of 16-bit floats in f32, an average as a sum.
struct Partial {
  Partial(DType dtype, ReduceOp op);

  // Elements of the collective's type as partial sums.
  void widen(std::size_t count, const std::byte* in, std::byte* out) const;
  // Partial sums over all of `ranks` ranks as results; in place where the types are the same.
  void round(std::size_t count, const std::byte* in, int ranks, std::byte* out) const;

  DType of;        // the collective's
  ReduceOp asked;  // the collective's
  DType dtype;
  ReduceOp op;
};

}  // namespace tutti::comm
