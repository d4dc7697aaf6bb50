// Copies between a GPU and the host that go on while either does something else.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include "kernels/memory.h"
#include "tutti/core/cuda.h"

namespace tutti::kernels {

// A place in a stream of a GPU.
using StreamMark = std::shared_ptr<cuda::Event>;

// Behind all that is on `stream` (a cudaStream_t) now; where it is null, on this thread's own.
inline StreamMark mark_stream(Device gpu, void* stream = nullptr) {
  std::optional<cuda::StreamScope> scope;
  if (stream) scope.emplace(gpu, stream);
  auto mark = std::make_shared<cuda::Event>(gpu);
  mark->record();
  return mark;
}

// Runs copies of pinned memory one after another, beside the streams of computations.
class CopyQueue {
 public:
  explicit CopyQueue(Device gpu) : stream_(gpu) {}

  Device gpu() const { return stream_.device(); }
  // What is queued from here on comes after `mark`.
  void hold(const StreamMark& mark) {
    const cuda::StreamScope scope(stream_);
    mark->wait();
  }
  void to_host(void* to, const void* from, std::size_t bytes) { copy(to, Device::cpu(), from, gpu(), bytes); }
  void to_gpu(void* to, const void* from, std::size_t bytes) { copy(to, gpu(), from, Device::cpu(), bytes); }
  void within_gpu(void* to, const void* from, std::size_t bytes) { copy(to, gpu(), from, gpu(), bytes); }
  // Behind the last copy.
  StreamMark mark() { return mark_stream(gpu(), stream_.handle()); }

 private:
  void copy(void* to, Device to_device, const void* from, Device from_device, std::size_t bytes) {
    if (bytes == 0) return;
    const cuda::StreamScope scope(stream_);
    copy_bytes(to, to_device, from, from_device, bytes, CopyMode::non_blocking);
  }

  cuda::Stream stream_;
};

}  // namespace tutti::kernels
