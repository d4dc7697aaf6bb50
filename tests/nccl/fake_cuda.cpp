#include <condition_variable>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels/combine.h"
#include "kernels/cuda/graph.h"
#include "kernels/cuda/stream.h"
#include "kernels/memory.h"
#include "tests/nccl/fake.h"
#include "tutti/core/cuda.h"
#include "tutti/core/error.h"

namespace {

struct Flag {
  std::mutex mutex;
  std::condition_variable changed;
  bool set = false;

  void raise() {
    std::scoped_lock lock(mutex);
    set = true;
    changed.notify_all();
  }
  bool is_set() {
    std::scoped_lock lock(mutex);
    return set;
  }
  void wait() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return set; });
  }
};

thread_local int gpu_of_thread = 0;
thread_local cudaStream_t own_stream = nullptr;

}  // namespace

struct CUstream_st {
  ~CUstream_st() {
    {
      std::scoped_lock lock(mutex);
      ending = true;
    }
    changed.notify_all();
    thread.join();
  }

  void push(std::function<void()> task) {
    std::scoped_lock lock(mutex);
    tasks.push_back(std::move(task));
    changed.notify_all();
  }
  bool idle() {
    std::scoped_lock lock(mutex);
    return tasks.empty();
  }
  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return ending || !tasks.empty(); });
      if (tasks.empty()) return;
      const auto& task = tasks.front();  // which no push() moves
      lock.unlock();
      task();
      lock.lock();
      tasks.pop_front();
    }
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> tasks;
  bool ending = false;
  std::thread thread{[this] { run(); }};
};

struct CUevent_st {
  std::shared_ptr<Flag> passed = std::make_shared<Flag>();
};

namespace tutti {

fake::State& fake::state() {
  static State state;
  return state;
}

void fake::enqueue(cudaStream_t stream, std::function<void()> task) {
  static CUstream_st default_stream;
  (stream ? *stream : default_stream).push(std::move(task));
}

bool Device::has_cuda(std::string* why) {
  const bool there = fake::state().gpus > 0;
  if (why) *why = there ? "" : "the fake has no GPU";
  return there;
}

Device Device::cuda(int index) { return {Kind::cuda, index}; }

kernels::CurrentGpu::CurrentGpu(Device device) : former_(gpu_of_thread) { gpu_of_thread = device.index(); }
kernels::CurrentGpu::~CurrentGpu() { gpu_of_thread = former_; }

void kernels::Combine::cuda(ReduceOp op, DType dtype, std::size_t count, std::span<const void* const> in,
                            void* out, void* stream) {
  fake::enqueue(static_cast<cudaStream_t>(stream),
                [op, dtype, count, inputs = std::vector<const void*>(in.begin(), in.end()), out] {
                  cpu(op, dtype, count, inputs, out);
                });
}

void kernels::Combine::cuda(ReduceOp op, DType dtype, std::size_t count, std::span<const void* const> in,
                            void* out) {
  cuda(op, dtype, count, in, out, current_stream());
}

void kernels::Combine::load_cuda(DType, std::size_t) {}

void fake::set_current_stream(cudaStream_t stream) { own_stream = stream; }
cudaStream_t kernels::current_stream() { return own_stream; }
void* cuda::current_stream(Device) { return own_stream; }

// And nothing is captured.
bool kernels::is_capturing() { return false; }
void kernels::throw_not_in_graph(const char* what) { throw DeviceError(what); }

// Over NCCL nothing goes through the host's memory.
cuda::Stream::Stream(Device) { throw DeviceError("the fake has no such stream"); }
cuda::Stream::~Stream() = default;
cuda::StreamScope::StreamScope(const Stream&) {}
cuda::StreamScope::StreamScope(Device, void*) {}
cuda::StreamScope::~StreamScope() = default;
cuda::Event::Event(Device, bool) { throw DeviceError("the fake has no such event"); }
cuda::Event::~Event() = default;
void cuda::Event::record() {}
void cuda::Event::wait(Device) const {}
void cuda::Event::synchronize() const {}
void* kernels::Allocate::cuda(std::size_t bytes) { return Allocate::cpu(bytes); }
void kernels::Free::cuda(void* data, std::size_t bytes) noexcept { Free::cpu(data, bytes); }
void kernels::SetZero::cuda(void* data, std::size_t bytes) { SetZero::cpu(data, bytes); }
void kernels::CopyBytes::cuda(void* to, Device, const void* from, Device, std::size_t bytes, CopyMode mode) {
  CopyBytes::cpu(to, {}, from, {}, bytes, mode);
}
bool kernels::Pin::cuda(void*, std::size_t) { return false; }
void kernels::Unpin::cuda(void*) noexcept {}

}  // namespace tutti

using tutti::fake::enqueue;
using tutti::fake::state;

extern "C" {

cudaError_t cudaGetDeviceCount(int* count) {
  *count = state().gpus;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  gpu_of_thread = device;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  std::memset(properties, 0, sizeof *properties);
  properties->uuid.bytes[0] = static_cast<char>(state().one_card ? 1 : device + 1);
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = gpu_of_thread;
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  ++state().waits;
  return cudaSuccess;  // what was given back is the heap's
}
cudaError_t cudaGetLastError() { return cudaSuccess; }
const char* cudaGetErrorString(cudaError_t) { return "a fake error"; }
const char* cudaGetErrorName(cudaError_t) { return "cudaErrorFake"; }

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st;
  ++state().streams;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  --state().streams;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  ++state().waits;
  Flag passed;
  enqueue(stream, [&] { passed.raise(); });
  passed.wait();
  return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t stream) { return stream->idle() ? cudaSuccess : cudaErrorNotReady; }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  ++state().events;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  --state().events;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  event->passed = std::make_shared<Flag>();
  enqueue(stream, [passed = event->passed] { passed->raise(); });
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  return event->passed->is_set() ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  enqueue(stream, [passed = event->passed] { passed->wait(); });
  return cudaSuccess;
}

}  // extern "C"
