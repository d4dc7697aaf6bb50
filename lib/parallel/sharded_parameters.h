// Parameters of which each rank updates its share.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "parallel/bucket.h"
#include "parallel/memory_pool.h"
#include "parallel/under_way.h"

namespace tutti::parallel {

// The parameters of one bucket, moved into one piece of memory, laid out as their gradients are.
class ShardedParameters {
 public:
  // With a `pool`, a rank keeps its share alone, and the parameters are whole in memory of the pool, from
  // `start_gather` to `drop`.
  ShardedParameters(const Bucket& bucket, Communicator& comm, MemoryPool* pool);

  // What this rank updates: of each parameter of the bucket the part in its share, [n], under the parameter's name;
  // its gradient is the bucket's. It stands at element `first(i)` of the parameter.
  const NamedTensors& slices() const { return slices_; }
  std::int64_t first(std::size_t parameter) const { return firsts_[parameter]; }

  // Every rank gets the shares of the others.
  void start_gather(Communicator& comm);
  // What is computed from here on finds them.
  void finish_gather() { gathers_.follow(); }
  // Throws what became of those of a GPU by now.
  void watch() { gathers_.watch(); }
  void settle() { gathers_.settle(); }
  // Doesn't throw: of a gathering that failed, the communicator's next collective tells.
  void drop();
  // What was changed in the whole parameters is taken over into this rank's share.
  void keep_share();
  // The shares were updated, here or elsewhere: for the tape, a change of the whole parameters in place.
  void mark_updated() { flat_.storage()->bump_version(); }
  // Gives the slices their gradients, whatever became of those.
  void show();
  // Of what this rank keeps, gathered or not.
  std::size_t bytes() const { return share_.storage()->bytes(); }

 private:
  Tensor flat_;
  Tensor share_;  // a part of `flat_`, or memory of its own
  MemoryPool* pool_;
  std::int64_t begin_;  // of the share
  NamedTensors slices_;
  std::vector<Tensor> gradients_;  // of the slices
  std::vector<std::int64_t> firsts_;
  UnderWay gathers_;
};

}  // namespace tutti::parallel
