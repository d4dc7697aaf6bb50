#include "comm/mpi/nodes.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "comm/mpi/session.h"
#include "comm/shared/layout.h"
#include "comm/shm/shm.h"
#include "tutti/core/error.h"

namespace tutti::comm {
namespace {

// Containers of one machine may have a name each, and not see each other's processes, through which memory is shared.
bool see_each_other(MPI_Comm node) {
  struct stat place {};
  std::array<std::uint64_t, 2> mine{};
  if (::stat("/proc/self/ns/pid", &place) == 0) mine = {place.st_dev, place.st_ino};
  std::array<std::uint64_t, 4> range{mine[0], mine[1], ~mine[0], ~mine[1]};
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, range.data(), 4, MPI_UINT64_T, MPI_MAX, node), "MPI_Allreduce");
  return range[0] == ~range[2] && range[1] == ~range[3] && range[1] != 0;
}

}  // namespace

Nodes::Nodes(MPI_Comm comm, int most) {
  int rank = 0, size = 0, local = 0;
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &size);
  MPI_Comm machine;
  check_mpi(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &machine),
            "MPI_Comm_split_type");
  MPI_Comm_rank(machine, &local);
  const int part = see_each_other(machine) ? local / std::min(most, int{Layout::max_ranks}) : local;
  check_mpi(MPI_Comm_split(machine, part, local, &node_), "MPI_Comm_split");
  MPI_Comm_free(&machine);

  int first = rank;
  MPI_Comm_size(node_, &ranks_per_node_);
  check_mpi(MPI_Bcast(&first, 1, MPI_INT, 0, node_), "MPI_Bcast");
  std::vector<int> firsts(static_cast<std::size_t>(size));
  check_mpi(MPI_Allgather(&first, 1, MPI_INT, firsts.data(), 1, MPI_INT, comm), "MPI_Allgather");
  // All ranks compute the same, whichever node they are on.
  const int each = static_cast<int>(std::count(firsts.begin(), firsts.end(), firsts.front()));
  regular_ = each > 1 && size % each == 0;
  for (int r = 0; r < size; ++r) {
    regular_ = regular_ && firsts[static_cast<std::size_t>(r)] == r / each * each;
  }
}

Nodes::~Nodes() {
  if (MpiSession::usable()) MPI_Comm_free(&node_);
}

std::unique_ptr<Backend> Nodes::join(std::chrono::milliseconds timeout) const {
  int rank = 0;
  MPI_Comm_rank(node_, &rank);
  const auto share = [this](std::uint64_t token) {
    check_mpi(MPI_Bcast(&token, 1, MPI_UINT64_T, 0, node_), "MPI_Bcast");
    return token;
  };
  return make_shm_backend(rank, ranks_per_node_, share, timeout);
}

}  // namespace tutti::comm
