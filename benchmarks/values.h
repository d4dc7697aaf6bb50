// The elements that ranks bring: small whole numbers, exact in every type, and known results.
#pragma once

#include "benchmarks/collective.h"

namespace tutti::bench {

// To be moved: ranks and blocks differ.
double moved(std::size_t index, int block, int rank);

// To be reduced, and block `block` of the reduction over all ranks.
double summand(std::size_t index, int block, int rank, ReduceOp op);
double reduction(std::size_t index, int block, int ranks, ReduceOp op, DType dtype);

}  // namespace tutti::bench
