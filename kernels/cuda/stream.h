// The stream that this thread queues work of its current GPU on: what the innermost cuda::StreamScope says, else the default one.
#pragma once

#include <cuda_runtime_api.h>

namespace tutti::kernels {

cudaStream_t current_stream();

// Of the GPU with this index; set_stream returns the former one.
cudaStream_t stream_of(int gpu);
cudaStream_t set_stream(int gpu, cudaStream_t stream);

int current_gpu();

// Makes a GPU the current one where that must not fail, and the former one again.
class GpuScope {
 public:
  explicit GpuScope(int gpu) noexcept {
    if (cudaGetDevice(&former_) != cudaSuccess || former_ == gpu || cudaSetDevice(gpu) != cudaSuccess)
      former_ = -1;
  }
  ~GpuScope() {
    if (former_ >= 0) cudaSetDevice(former_);
  }
  GpuScope(const GpuScope&) = delete;
  GpuScope& operator=(const GpuScope&) = delete;

 private:
  int former_ = -1;
};

}  // namespace tutti::kernels
