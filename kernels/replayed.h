// What a step that is captured in a CUDA graph reads of the host's state: a count, a rate, a place in a random stream. Else it
// would be frozen in the graph.
#pragma once

#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "kernels/memory.h"
#include "tutti/core/cuda_graph.h"

namespace tutti::kernels {

// During a capture: a T on `device`, a GPU. `value` is called at each replay, in the order of registration, and the GPU has what
// it returns from the beginning of the replay to its end. The memory is the graph's.
template <typename T>
const T* replayed(Device device, std::function<T()> value) {
  static_assert(std::is_trivially_copyable_v<T>);
  const std::shared_ptr<void> memory(launch<AllocateUnused>(device, sizeof(T)),
                                     [device](void* data) { launch<Free>(device, data, sizeof(T)); });
  cuda::each_replay([device, memory, value = std::move(value)] {
    const T now = value();
    copy_bytes(memory.get(), device, &now, Device::cpu(), sizeof(T), CopyMode::constant);
  });
  return static_cast<const T*>(memory.get());
}

}  // namespace tutti::kernels
