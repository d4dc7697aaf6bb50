#include <algorithm>

#include "benchmarks/collective.h"

namespace tutti::bench {
namespace {

double input(std::size_t index, int rank, int, ReduceOp op) {
  const auto shifted = index + static_cast<std::size_t>(rank);
  return op == ReduceOp::prod ? static_cast<double>(shifted % 2 + 1) : static_cast<double>(shifted % 7);
}

double result(std::size_t index, int, int ranks, ReduceOp op, DType dtype) {
  double value = input(index, 0, ranks, op);
  for (int rank = 1; rank < ranks; ++rank) {
    const double next = input(index, rank, ranks, op);
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

}  // namespace

const Collective all_reduce{
    .name = "all_reduce",
    .summary = "Sum (or another reduction) of a buffer over all ranks, to all of them",
    .reduces = true,
    .bus_factor = [](int ranks) { return 2.0 * (ranks - 1) / ranks; },
    .run = [](Communicator& comm, ConstBufferView in, BufferView out,
              ReduceOp op) { comm.all_reduce(in, out, op); },
    .input = input,
    .result = result,
};

}  // namespace tutti::bench
