// A stream and an event of CUDA, on the GPU that is current when they are made.
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/cuda/check.h"

namespace tutti::comm {

class GpuStream {
 public:
  // Nothing on the default stream waits for it, nor it for them.
  GpuStream() {
    kernels::check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreate");
  }
  ~GpuStream() { cudaStreamDestroy(stream_); }
  GpuStream(const GpuStream&) = delete;
  GpuStream& operator=(const GpuStream&) = delete;

  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

// A place in a stream. It may go before the GPU gets there.
class GpuEvent {
 public:
  explicit GpuEvent(cudaStream_t stream) {
    kernels::check(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "cudaEventCreate");
    const cudaError_t status = cudaEventRecord(event_, stream);
    if (status != cudaSuccess) cudaEventDestroy(event_);
    kernels::check(status, "cudaEventRecord");
  }
  ~GpuEvent() { cudaEventDestroy(event_); }
  GpuEvent(const GpuEvent&) = delete;
  GpuEvent& operator=(const GpuEvent&) = delete;

  // Whether the GPU has come past it. Throws DeviceError for what went wrong on the way.
  bool passed() const {
    const cudaError_t status = cudaEventQuery(event_);
    if (status == cudaErrorNotReady) return false;
    kernels::check(status, "cudaEventQuery");
    return true;
  }
  // What comes on `stream` from now on runs after it.
  void hold(cudaStream_t stream) const {
    kernels::check(cudaStreamWaitEvent(stream, event_, 0), "cudaStreamWaitEvent");
  }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace tutti::comm
