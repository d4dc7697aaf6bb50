// Memory of the GPU that NCCL knows: it may read and write it from the peers without a copy.
#include "comm/nccl/group.h"
#include "kernels/launch.h"
#include "tutti/core/error.h"

#include <fmt/format.h>

#include <algorithm>

namespace tutti::comm {
namespace {

// Kernels that are queued may use the memory, and giving it back does not wait for them.
void wait_for(Device gpu) noexcept {
  int former = 0;
  if (cudaGetDevice(&former) != cudaSuccess || cudaSetDevice(gpu.index()) != cudaSuccess) return;
  cudaDeviceSynchronize();
  cudaSetDevice(former);
}

}  // namespace

std::shared_ptr<void> NcclGroup::allocate(std::size_t bytes, bool for_kernels) {
  const kernels::CurrentGpu current(gpu_);
  void* memory = nullptr;
  const ncclResult_t result = ncclMemAlloc(&memory, std::max<std::size_t>(bytes, 1));
  if (result != ncclSuccess) {
    throw DeviceError(fmt::format("allocate: no {} bytes of memory for NCCL on {}: {}", bytes, gpu_.str(),
                                  ncclGetErrorString(result)));
  }
  // It may outlive the group, which then has forgotten it already.
  std::shared_ptr<void> owner(memory, [group = weak_from_this(), gpu = gpu_, for_kernels](void* data) {
    if (for_kernels) wait_for(gpu);
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
  if (!workspace_) workspace_ = allocate(workspace_bytes, false);
  return static_cast<std::byte*>(workspace_.get());
}

}  // namespace tutti::comm
