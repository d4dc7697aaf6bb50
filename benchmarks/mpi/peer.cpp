#include "benchmarks/peer.h"

#include <fmt/format.h>
#include <mpi.h>

#include <utility>

#include "tutti/core/error.h"

namespace tutti::bench {
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
      throw ConfigError(fmt::format("tutti-bench: --vs mpi: MPI has no {}", name_of(dtype)));
  }
}

MPI_Op reduction_of(ReduceOp op) {
  switch (op) {
    case ReduceOp::sum:
      return MPI_SUM;
    case ReduceOp::min:
      return MPI_MIN;
    case ReduceOp::max:
      return MPI_MAX;
    case ReduceOp::prod:
      return MPI_PROD;
    default:
      throw ConfigError(fmt::format("tutti-bench: --vs mpi: MPI has no {}", name_of(op)));
  }
}

std::string library() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  MPI_Get_library_version(text, &length);
  const std::string all(text, static_cast<std::size_t>(length));
  return all.substr(0, all.find_first_of(",\n"));
}

}  // namespace

Peer mpi_peer(int ranks, DType dtype, ReduceOp op) {
  type_of(dtype);
  reduction_of(op);
  int initialized = 0;
  MPI_Initialized(&initialized);
  if (!initialized) MPI_Init(nullptr, nullptr);
  const auto finalize = [initialized](void*) {
    if (!initialized) MPI_Finalize();
  };
  std::shared_ptr<void> keep(nullptr, finalize);
  int size = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (size != ranks) {
    throw ConfigError(fmt::format(
        "tutti-bench: --vs mpi: MPI has {} rank(s), Tutti {}: mpirun must start them", size, ranks));
  }
  return {.name = library(),
          .all_reduce =
              [](BufferView buffer, ReduceOp reduction) {
                MPI_Allreduce(MPI_IN_PLACE, buffer.data, static_cast<int>(buffer.count),
                              type_of(buffer.dtype), reduction_of(reduction), MPI_COMM_WORLD);
              },
          .keep = std::move(keep)};
}

}  // namespace tutti::bench
