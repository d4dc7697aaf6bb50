#include "benchmarks/values.h"

#include <algorithm>

namespace tutti::bench {

double moved(std::size_t index, int block, int rank) {
  return static_cast<double>(
      (index + 7 * static_cast<std::size_t>(block) + 31 * static_cast<std::size_t>(rank)) % 101);
}

double summand(std::size_t index, int block, int rank, ReduceOp op) {
  const auto shifted = index + 3 * static_cast<std::size_t>(block) + static_cast<std::size_t>(rank);
  return op == ReduceOp::prod ? static_cast<double>(shifted % 2 + 1) : static_cast<double>(shifted % 7);
}

double reduction(std::size_t index, int block, int ranks, ReduceOp op, DType dtype) {
  double value = summand(index, block, 0, op);
  for (int rank = 1; rank < ranks; ++rank) {
    const double next = summand(index, block, rank, op);
    switch (op) {
      case ReduceOp::min:
        value = std::min(value, next);
        break;
      case ReduceOp::max:
        value = std::max(value, next);
        break;
      case ReduceOp::prod:
        value *= next;
        break;
      case ReduceOp::sum:
      case ReduceOp::avg:
        value += next;
        break;
    }
  }
  if (op != ReduceOp::avg) return value;
  // The sum times 1 / ranks, in the type of the arithmetic.
  return dtype == DType::f64 ? value * (1.0 / ranks)
                             : static_cast<float>(value) * (1.0f / static_cast<float>(ranks));
}

}  // namespace tutti::bench
