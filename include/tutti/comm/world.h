/// \file
/// The ranks of this run, found out at run time.
#pragma once

#include <memory>
#include <vector>

#include "tutti/comm/communicator.h"

namespace tutti {

struct WorldOptions {
  /// The parts of a global batch, see LogicalRanks; 0 for the smallest power of two that is at least the number of
  /// ranks. To be chosen for a run that will go on in another world: 8, say, on a laptop for eight machines.
  int logical_ranks = 0;
};

/// The communicator of all ranks. It is made once, at the start of `main`; the launcher is recognised by its
/// environment: `tutti-run` (back end shm), `mpirun` (mpi), or none of them (self: one rank).
/// `TUTTI_BACKEND=self|shm|mpi` decides in their place. `TUTTI_BACKEND=nccl` keeps the launcher's, for buffers on
/// the CPU, and gives each rank a GPU, between which NCCL runs the collectives. `TUTTI_LOGICAL_RANKS` is the number of
/// logical ranks of a program that gives none.
class World : public Communicator {
 public:
  /// Joins the ranks of this run.
  /// \throws ConfigError when the launcher needs a back end that is not built, or its variables are
  ///         incomplete; when two ranks would share a GPU; when there are fewer logical ranks than ranks.
  /// \throws DeviceError when NCCL is asked for and this rank has no GPU.
  /// \throws TimeoutError naming the ranks that are not there by the deadline (`TUTTI_TIMEOUT`, in seconds).
  World(int& argc, char**& argv, const WorldOptions& options = {});
  /// The same, for a program whose `main` is out of reach.
  explicit World(const WorldOptions& options = {});
  ~World() override;

  /// `size` ranks that are threads of this process, one communicator each: for tests and small uses.
  static std::vector<Communicator> threads(int size);

  /// Rank and number of ranks on this machine.
  int local_rank() const { return local_rank_; }
  int local_size() const { return local_size_; }
  /// The GPU of this rank, which is also the thread's current one, where NCCL runs the collectives; else the CPU.
  Device device() const { return device_; }

 private:
  struct Place;
  World(Place place, const WorldOptions& options);

  int local_rank_ = 0;
  int local_size_ = 1;
  Device device_;
};

}  // namespace tutti
