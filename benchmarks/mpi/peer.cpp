#include "benchmarks/peer.h"

#include <fmt/format.h>
#include <mpi.h>

#include <limits>
#include <map>
#include <string_view>

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
      throw ConfigError(fmt::format("--vs mpi: MPI has no {}", name_of(dtype)));
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
      throw ConfigError(fmt::format("--vs mpi: MPI has no {}", name_of(op)));
  }
}

// One call, with counts as MPI wants them: elements of what is reduced, bytes of what is moved.
struct Call {
  void* in;  // MPI_IN_PLACE in place
  void* out;
  int in_count;
  int out_count;
  MPI_Datatype type;
  MPI_Op op;
  int rank;
  int ranks;
};

const std::map<std::string_view, void (*)(const Call&)> calls{
    {"all_reduce",
     [](const Call& c) { MPI_Allreduce(c.in, c.out, c.out_count, c.type, c.op, MPI_COMM_WORLD); }},
    {"reduce_scatter",
     [](const Call& c) { MPI_Reduce_scatter_block(c.in, c.out, c.out_count, c.type, c.op, MPI_COMM_WORLD); }},
    {"all_gather",
     [](const Call& c) {
       MPI_Allgather(c.in, c.in_count, c.type, c.out, c.in_count, c.type, MPI_COMM_WORLD);
     }},
    {"broadcast", [](const Call& c) { MPI_Bcast(c.out, c.out_count, c.type, 0, MPI_COMM_WORLD); }},
    {"all_to_all",
     [](const Call& c) {
       MPI_Alltoall(c.in, c.in_count / c.ranks, c.type, c.out, c.out_count / c.ranks, c.type, MPI_COMM_WORLD);
     }},
    {"send_recv",
     [](const Call& c) {
       MPI_Sendrecv(c.in, c.in_count, c.type, (c.rank + 1) % c.ranks, 0, c.out, c.out_count, c.type,
                    (c.rank + c.ranks - 1) % c.ranks, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
     }},
    {"barrier", [](const Call&) { MPI_Barrier(MPI_COMM_WORLD); }},
};

int count_of(const BufferView& view, bool reduces) {
  const auto count = reduces ? view.count : view.bytes();
  if (count > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    throw ConfigError(fmt::format("--vs mpi: MPI counts to 2^31 - 1, not to {}", count));
  return static_cast<int>(count);
}

std::string library() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  MPI_Get_library_version(text, &length);
  const std::string all(text, static_cast<std::size_t>(length));
  return all.substr(0, all.find_first_of(",\n"));
}

}  // namespace

Peer mpi_peer(const Communicator& comm, const Collective& collective, const Settings& settings) {
  const bool reduces = collective.reduces;
  if (reduces) static_cast<void>(type_of(settings.dtype)), static_cast<void>(reduction_of(settings.op));
  int initialized = 0;
  MPI_Initialized(&initialized);
  if (!initialized) MPI_Init(nullptr, nullptr);
  const auto finalize = [initialized](void*) {
    if (!initialized) MPI_Finalize();
  };
  std::shared_ptr<void> keep(nullptr, finalize);
  int rank = 0, ranks = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  if (ranks != comm.size()) {
    throw ConfigError(
        fmt::format("--vs mpi: MPI has {} rank(s), Tutti {}: mpirun must start them", ranks, comm.size()));
  }
  const auto type = reduces ? type_of(settings.dtype) : MPI_BYTE;
  const auto op = reduces ? reduction_of(settings.op) : MPI_OP_NULL;
  const auto run = calls.at(collective.name);
  const auto call = [=](const Operands& operands) {
    run({.in = operands.in_place ? MPI_IN_PLACE : operands.in.data,
         .out = operands.out.data,
         .in_count = count_of(operands.in, reduces),
         .out_count = count_of(operands.out, reduces),
         .type = type,
         .op = op,
         .rank = rank,
         .ranks = ranks});
  };
  return {library(), call, std::move(keep)};
}

}  // namespace tutti::bench
