// Copies between a GPU and the host that go on while the host does something else.
#pragma once

#include <cstddef>
#include <memory>

#include "kernels/launch.h"

namespace tutti::kernels {

// A place in a stream; null is behind nothing.
using StreamMark = std::shared_ptr<void>;

// The stream (a cudaStream_t) that this thread queues work of a GPU on.
struct CurrentStream {
  static constexpr const char* name = "current_stream";
  static void* cpu() { return nullptr; }
  static void* cuda();
};

// Behind all that is on `stream` now; where it is null, on the current one.
struct MarkStream {
  static constexpr const char* name = "mark_stream";
  static StreamMark cpu(void*) { return nullptr; }
  static StreamMark cuda(void* stream);
};

// Runs copies one after another, beside the streams of computations.
class CopyQueue {
 public:
  CopyQueue() = default;
  virtual ~CopyQueue() = default;
  CopyQueue(const CopyQueue&) = delete;
  CopyQueue& operator=(const CopyQueue&) = delete;

  // What is queued from here on comes after `mark`.
  virtual void hold(const StreamMark& mark) = 0;
  // Between memory of the GPU and of the host, or within the GPU's.
  virtual void copy(void* to, const void* from, std::size_t bytes) = 0;
  // Behind the last copy.
  virtual StreamMark mark() = 0;
  // Whether the queue has come there.
  virtual bool passed(const StreamMark& mark) = 0;
  // Blocks the host until it has.
  virtual void wait(const StreamMark& mark) = 0;
};

// One of a GPU; the host needs none.
struct MakeCopyQueue {
  static constexpr const char* name = "copy_queue";
  static std::unique_ptr<CopyQueue> cpu() { return nullptr; }
  static std::unique_ptr<CopyQueue> cuda();
};

}  // namespace tutti::kernels
