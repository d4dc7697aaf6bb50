#include "comm/mpi/make.h"

#include "comm/mpi/backend.h"
#include "comm/mpi/nodes.h"
#include "comm/mpi/one_node.h"
#include "comm/mpi/two_levels.h"

namespace tutti::comm {

std::unique_ptr<Backend> make_mpi_backend(std::shared_ptr<MpiSession> session, MPI_Comm comm,
                                          const MpiOptions& options) {
  int size = 0;
  MPI_Comm_size(comm, &size);
  if (size > 1 && options.ranks_sharing_memory > 1) {
    const Nodes nodes(comm, options.ranks_sharing_memory);
    if (nodes.regular()) {
      auto node = nodes.join(options.timeout);
      if (node->size() == size) return std::make_unique<OneNodeBackend>(std::move(session), std::move(node));
      return std::make_unique<TwoLevelBackend>(std::make_unique<MpiGroup>(std::move(session), comm), options,
                                               std::move(node));
    }
  }
  return std::make_unique<MpiBackend>(std::make_unique<MpiGroup>(std::move(session), comm), options);
}

}  // namespace tutti::comm
