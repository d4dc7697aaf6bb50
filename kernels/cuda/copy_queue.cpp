#include "kernels/copy_queue.h"

#include <cuda_runtime_api.h>

#include "kernels/cuda/check.h"
#include "kernels/cuda/stream.h"

namespace tutti::kernels {
namespace {

// On the current GPU, which is the stream's.
StreamMark mark_of(cudaStream_t stream) {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), MarkStream::name);
  StreamMark mark(event, [](void* made) { cudaEventDestroy(static_cast<cudaEvent_t>(made)); });
  check(cudaEventRecord(event, stream), MarkStream::name);
  return mark;
}

class CudaCopyQueue final : public CopyQueue {
 public:
  CudaCopyQueue() {
    check(cudaGetDevice(&gpu_), MakeCopyQueue::name);
    // Nothing on the default stream waits for it, nor it for them.
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), MakeCopyQueue::name);
  }
  ~CudaCopyQueue() override { cudaStreamDestroy(stream_); }

  void hold(const StreamMark& mark) override {
    if (mark)
      check(cudaStreamWaitEvent(stream_, static_cast<cudaEvent_t>(mark.get()), 0), MakeCopyQueue::name);
  }
  void copy(void* to, const void* from, std::size_t bytes) override {
    if (bytes > 0) check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_), MakeCopyQueue::name);
  }
  StreamMark mark() override {
    const CurrentGpu current(Device::cuda(gpu_));
    return mark_of(stream_);
  }
  bool passed(const StreamMark& mark) override {
    if (!mark) return true;
    const cudaError_t status = cudaEventQuery(static_cast<cudaEvent_t>(mark.get()));
    if (status == cudaErrorNotReady) {
      cudaGetLastError();
      return false;
    }
    check(status, MakeCopyQueue::name);
    return true;
  }
  void wait(const StreamMark& mark) override {
    if (mark) check(cudaEventSynchronize(static_cast<cudaEvent_t>(mark.get())), MakeCopyQueue::name);
  }

 private:
  int gpu_ = 0;
  cudaStream_t stream_ = nullptr;
};

}  // namespace

void* CurrentStream::cuda() { return current_stream(); }

StreamMark MarkStream::cuda(void* stream) {
  return mark_of(stream ? static_cast<cudaStream_t>(stream) : current_stream());
}

std::unique_ptr<CopyQueue> MakeCopyQueue::cuda() { return std::make_unique<CudaCopyQueue>(); }

}  // namespace tutti::kernels
