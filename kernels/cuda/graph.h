// What kernels do that find themselves captured in a CUDA graph.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <functional>

namespace tutti::kernels {

// Whether this thread captures; of which GPU, or -1, and on which stream.
bool is_capturing();
int captured_gpu();
cudaStream_t captured_stream();

// Throws the DeviceError "`what` cannot be part of a CUDA graph: ...".
[[noreturn]] void throw_not_in_graph(const char* what);

// During a capture: called at each replay before the graph is launched on `stream`, in order of registration; what it queues
// there runs before.
void each_replay(std::function<void(cudaStream_t stream)> callback);

// Puts bytes of the host into memory of the current GPU, by value in the arguments of a kernel: they may go at once, and in a
// graph they are a constant.
void queue_bytes(const char* name, void* to, const void* from, std::size_t bytes, cudaStream_t stream);
void queue_bytes(const char* name, void* to, const void* from, std::size_t bytes);

}  // namespace tutti::kernels
