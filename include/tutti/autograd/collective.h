/// \file
/// Collectives that gradients flow through.
#pragma once

#include "tutti/tensor/tensor.h"

namespace tutti {

class Communicator;

/// The sum of every rank's `x`, a new tensor of its shape and dtype, on all ranks; in the tree of
/// Communicator::all_reduce, so with the same bits on each. Backward sums the gradients over the ranks likewise: they
/// are those of the sum of all ranks' losses.
///
/// Forward and backward are collective calls. Every rank runs the same operations, needs the gradient of `x` if one
/// does, and lets a gradient flow back, of zeros if need be. `comm` outlives the tape.
/// \throws CommError when the ranks differ in dtype or number of elements, and what Communicator::all_reduce throws;
///         so does backward.
Tensor all_reduce(const Tensor& x, Communicator& comm);

}  // namespace tutti
