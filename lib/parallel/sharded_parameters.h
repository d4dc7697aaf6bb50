// Parameters of which each rank updates its share.
#pragma once

#include "parallel/bucket.h"

namespace tutti::parallel {

// The parameters of one bucket, moved into one piece of memory, laid out as their gradients are.
class ShardedParameters {
 public:
  ShardedParameters(const Bucket& bucket, Communicator& comm);

  // What this rank updates: of each parameter of the bucket the part in its share, [n], under the parameter's name;
  // its gradient is the bucket's. It stands at element `first(i)` of the parameter.
  const NamedTensors& slices() const { return slices_; }
  std::int64_t first(std::size_t parameter) const { return firsts_[parameter]; }

  // Every rank gets the shares of the others.
  void start_gather(Communicator& comm);
  void finish_gather() { work_.wait(); }

 private:
  Tensor flat_;
  NamedTensors slices_;
  std::vector<std::int64_t> firsts_;
  comm::Work work_;
};

}  // namespace tutti::parallel
