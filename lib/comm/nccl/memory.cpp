// Memory of the GPU that NCCL knows: it may read and write it from the peers without a copy.
#include "comm/nccl/group.h"
#include "kernels/launch.h"
#include "tutti/core/error.h"

#include <fmt/format.h>

#include <algorithm>

namespace tutti::comm {

std::shared_ptr<void> NcclGroup::allocate(std::size_t bytes) {
  const kernels::CurrentGpu current(gpu_);
  void* memory = nullptr;
  const ncclResult_t result = ncclMemAlloc(&memory, std::max<std::size_t>(bytes, 1));
  if (result != ncclSuccess) {
    throw DeviceError(fmt::format("allocate: no {} bytes of memory for NCCL on {}: {}", bytes, gpu_.str(),
                                  ncclGetErrorString(result)));
  }
  // It may outlive the group, which then has forgotten it already.
  std::shared_ptr<void> owner(memory, [group = weak_from_this()](void* data) {
    if (const auto alive = group.lock()) alive->forget(data);
    ncclMemFree(data);
  });
  std::scoped_lock lock(mutex_);
  void* handle = nullptr;
  // Without it collectives run all the same, through NCCL's own buffers.
  if (comm_ && ncclCommRegister(comm_, memory, bytes, &handle) == ncclSuccess && handle) {
    registered_[memory] = handle;
  }
  return owner;
}

void NcclGroup::forget(void* memory) noexcept {
  std::scoped_lock lock(mutex_);
  const auto found = registered_.find(memory);
  if (found == registered_.end()) return;
  if (comm_) ncclCommDeregister(comm_, found->second);
  registered_.erase(found);
}

std::byte* NcclGroup::workspace() {
  if (!workspace_) workspace_ = allocate(workspace_bytes);
  return static_cast<std::byte*>(workspace_.get());
}

}  // namespace tutti::comm
