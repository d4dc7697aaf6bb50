#include "parallel/sharded_parameters.h"

#include <algorithm>

#include "parallel/flat.h"

namespace tutti::parallel {

ShardedParameters::ShardedParameters(const Bucket& bucket, Communicator& comm) {
  const Layout& layout = bucket.layout();
  const auto& parameters = bucket.parameters();
  flat_ = shared_flat(comm, parameters[0].tensor.dtype(), layout.total);
  const std::int64_t begin = comm.rank() * layout.share, end = begin + layout.share;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    auto [name, parameter] = parameters[i];
    const std::int64_t offset = layout.offsets[i];
    part_of(flat_, offset, parameter.shape()).copy_(parameter);
    parameter.set_storage(flat_.storage(), offset);
    const std::int64_t first = std::clamp(offset, begin, end);
    const std::int64_t last = std::clamp(offset + parameter.numel(), begin, end);
    Tensor slice = part_of(flat_, first, {last - first});
    slice.set_requires_grad();
    slice.set_grad(part_of(bucket.share(), first - begin, {last - first}));
    slices_.push_back({name, slice});
    firsts_.push_back(first - offset);
  }
}

void ShardedParameters::start_gather(Communicator& comm) {
  if (comm.size() > 1) work_ = comm.all_gather_async(flat_);
}

}  // namespace tutti::parallel
