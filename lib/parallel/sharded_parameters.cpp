#include "parallel/sharded_parameters.h"

#include <algorithm>

#include "parallel/flat.h"
#include "tutti/core/logging.h"

namespace tutti::parallel {

ShardedParameters::ShardedParameters(const Bucket& bucket, Communicator& comm, MemoryPool* pool)
    : pool_(pool), begin_(comm.rank() * bucket.layout().share) {
  const Layout& layout = bucket.layout();
  const NamedTensors& parameters = bucket.parameters();
  const Tensor& like = parameters[0].tensor;
  const Tensor whole = shared_flat(comm, like, layout.total);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Tensor& parameter = parameters[i].tensor;
    part_of(whole, layout.offsets[i], parameter.shape()).copy_(parameter);
  }
  if (pool) {
    share_ = shared_flat(comm, like, layout.share).copy_(part_of(whole, begin_, {layout.share}));
    flat_ = Tensor(Storage::external(nullptr, whole.storage()->bytes(), whole.device(), nullptr),
                   like.dtype(), whole.shape(), {1}, 0);
  } else {
    flat_ = whole;
    share_ = part_of(flat_, begin_, {layout.share});
  }
  const std::int64_t end = begin_ + layout.share;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    auto [name, parameter] = parameters[i];
    const std::int64_t offset = layout.offsets[i];
    parameter.set_storage(flat_.storage(), offset);
    const std::int64_t first = std::clamp(offset, begin_, end);
    const std::int64_t last = std::clamp(offset + parameter.numel(), begin_, end);
    Tensor slice = part_of(share_, first - begin_, {last - first});
    slice.set_requires_grad();
    gradients_.push_back(part_of(bucket.share(), first - begin_, {last - first}));
    slices_.push_back({name, slice});
    firsts_.push_back(first - offset);
  }
  show();
}

void ShardedParameters::start_gather(Communicator& comm) {
  if (pool_) {
    auto memory = pool_->take(flat_.storage()->bytes(), flat_.device());
    void* const data = memory.get();
    flat_.storage()->set_memory(data, std::move(memory));
  }
  // By the communicator, to which the bytes are no change of the tensor.
  if (pool_ && comm.size() == 1) {
    comm.all_gather(share_, flat_);
  } else if (pool_) {
    gathers_.start(comm.all_gather_async(share_, flat_), flat_.device());
  } else if (comm.size() > 1) {
    gathers_.start(comm.all_gather_async(flat_), flat_.device());
  }
}

// On a GPU, what uses the memory next is queued behind what uses it now.
void ShardedParameters::drop() {
  try {
    gathers_.follow();
  } catch (const std::exception& error) {
    logging::write(logging::Level::warning, error.what());
  }
  flat_.storage()->set_memory(nullptr, nullptr);
}

void ShardedParameters::show() {
  for (std::size_t i = 0; i < slices_.size(); ++i) slices_[i].tensor.set_grad(gradients_[i]);
}

void ShardedParameters::keep_share() { share_.copy_(part_of(flat_, begin_, share_.shape())); }

}  // namespace tutti::parallel
