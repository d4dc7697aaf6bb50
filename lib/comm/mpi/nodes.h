// Which ranks of an MPI communicator share a machine's memory.
#pragma once

#include <mpi.h>

#include <chrono>
#include <memory>

#include "tutti/comm/backend.h"

namespace tutti::comm {

class Nodes {
 public:
  // Every rank of `comm` calls it. No more than `most` ranks are put together.
  Nodes(MPI_Comm comm, int most);
  ~Nodes();
  Nodes(const Nodes&) = delete;
  Nodes& operator=(const Nodes&) = delete;

  // Whether each node has as many ranks as every other, more than one, and they follow each other.
  bool regular() const { return regular_; }
  int ranks_per_node() const { return ranks_per_node_; }

  // Joins the ranks of this node over shared memory. `timeout` is for the others to arrive.
  std::unique_ptr<Backend> join(std::chrono::milliseconds timeout) const;

 private:
  MPI_Comm node_ = MPI_COMM_NULL;
  bool regular_ = false;
  int ranks_per_node_ = 1;
};

}  // namespace tutti::comm
