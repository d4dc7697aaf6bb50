#include "comm/mpi/engine.h"

#include <algorithm>
#include <climits>

#include "comm/mpi/partial.h"

namespace tutti::comm {
namespace {

MPI_Datatype type_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return MPI_FLOAT;
    case DType::f64:
      return MPI_DOUBLE;
    case DType::i32:
      return MPI_INT32_T;
    case DType::i64:
      return MPI_INT64_T;
    case DType::u8:
      return MPI_UINT8_T;
    default:
      return MPI_DATATYPE_NULL;
  }
}

MPI_Op op_of(ReduceOp op) {
  switch (op) {
    case ReduceOp::min:
      return MPI_MIN;
    case ReduceOp::max:
      return MPI_MAX;
    case ReduceOp::prod:
      return MPI_PROD;
    default:
      return MPI_SUM;
  }
}

// MPI makes the sum, this the average.
void average(BufferView out, ReduceOp op, int ranks) {
  auto* data = static_cast<std::byte*>(out.data);
  Partial(out.dtype, op).round(out.count, data, ranks, data);
}

}  // namespace

bool engine_has(DType dtype, ReduceOp op) {
  const bool loses_nan = is_floating_point(dtype) && (op == ReduceOp::min || op == ReduceOp::max);
  return type_of(dtype) != MPI_DATATYPE_NULL && !loses_nan;
}

void engine_all_reduce(MpiGroup& group, const Running& running, ConstBufferView in, BufferView out,
                       ReduceOp op) {
  constexpr std::size_t most = std::size_t{1}
                               << 28;  // elements; the algorithms below count bytes with int too
  const auto width = size_of(out.dtype);
  for (std::size_t begin = 0; begin < out.count; begin += most) {
    const auto* from = static_cast<const std::byte*>(in.data) + begin * width;
    auto* to = static_cast<std::byte*>(out.data) + begin * width;
    auto requests = group.requests();
    check_mpi(MPI_Iallreduce(in.data == out.data ? MPI_IN_PLACE : from, to,
                             static_cast<int>(std::min(most, out.count - begin)), type_of(out.dtype),
                             op_of(op), group.comm(), requests.collective()),
              "MPI_Iallreduce");
    group.finish(requests, running);
  }
  average(out, op, group.size());
}

bool engine_reduce_scatter(MpiGroup& group, const Running& running, ConstBufferView in, BufferView out,
                           ReduceOp op) {
  if (in.bytes() > INT_MAX) return false;
  auto requests = group.requests();
  check_mpi(MPI_Ireduce_scatter_block(in.data, out.data, static_cast<int>(out.count), type_of(out.dtype),
                                      op_of(op), group.comm(), requests.collective()),
            "MPI_Ireduce_scatter_block");
  group.finish(requests, running);
  average(out, op, group.size());
  return true;
}

}  // namespace tutti::comm
