// What kernels do that find themselves captured in a CUDA graph.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "kernels/memory.h"

namespace tutti::kernels {

// Whether this thread captures; of which GPU, or -1.
bool is_capturing();
int captured_gpu();

// Throws the DeviceError "`what` cannot be part of a CUDA graph: ...".
[[noreturn]] void throw_not_in_graph(const char* what);

// During a capture: called at each replay before the graph is launched on `stream`, in order of registration; what it queues
// there runs before.
void each_replay(std::function<void(cudaStream_t stream)> callback);

// Puts bytes of the host into memory of the current GPU, by value in the arguments of a kernel: they may go at once, and in a
// graph they are a constant.
void queue_bytes(const char* name, void* to, const void* from, std::size_t bytes, cudaStream_t stream);
void queue_bytes(const char* name, void* to, const void* from, std::size_t bytes);

// A T on the GPU, for kernels of the graph that is captured. `value` is called at each replay, and the GPU has what it returns
// from the beginning of the replay to its end. The memory is the graph's.
template <typename T>
class DeviceScalars {
 public:
  static_assert(std::is_trivially_copyable_v<T>);

  explicit DeviceScalars(std::function<T()> value)
      : data_(Allocate::cuda(sizeof(T)), [](void* data) { Free::cuda(data, sizeof(T)); }) {
    each_replay([data = data_, value = std::move(value)](cudaStream_t stream) {
      const T now = value();
      queue_bytes("device_scalars", data.get(), &now, sizeof(T), stream);
    });
  }

  const T* data() const { return static_cast<const T*>(data_.get()); }

 private:
  std::shared_ptr<void> data_;  // kept by the callback as well
};

}  // namespace tutti::kernels
