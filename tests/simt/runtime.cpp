#include "tests/simt/runtime.h"

#include <sys/mman.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "tests/simt/engine.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes) static_cast<void>(at)
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) static_cast<void>(at)
#endif

using Work = std::function<void()>;
using Clock = std::chrono::steady_clock;

struct SimulatedStream {
  int gpu;
};
struct SimulatedEvent {
  Clock::time_point at{};
};
struct SimulatedGraph {
  std::vector<Work> work;
};

namespace tutti::simt {
namespace {

constexpr std::size_t arena_bytes = std::size_t{64} << 30, gpu_bytes = std::size_t{4} << 30, grain = 512;
constexpr std::size_t most_guarded = 1 << 20;  // bytes of GPUs: with more, it takes most of a test's time
constexpr std::size_t kept_poisoned = 4;  // blocks of a size

thread_local int current_gpu = 0;
thread_local cudaError_t last_error = cudaSuccess;

cudaError_t failed(cudaError_t status) { return last_error = status; }

// The memory of all GPUs. A grain behind each block stays poisoned, and a block that was given back too, until several of
// its size were.
class Arena {
 public:
  static Arena& instance() {
    static auto& arena = *new Arena;  // tensors may outlive it
    return arena;
  }

  std::recursive_mutex mutex;

  void* take(std::size_t bytes) {
    const std::scoped_lock lock(mutex);
    const std::size_t room = (bytes + grain - 1) / grain * grain + grain;
    if (bytes > gpu_bytes - in_use_[current_gpu] || room > arena_bytes - used_) return nullptr;
    auto& given = given_[room];
    std::byte* block;
    if (given.size() > kept_poisoned) {
      block = given.front();
      given.pop_front();
    } else {
      block = base_ + used_;
      used_ += room;
    }
    blocks_[block] = {bytes, current_gpu};
    in_use_[current_gpu] += bytes;
    open();
    ASAN_UNPOISON_MEMORY_REGION(block, bytes);
    std::memset(block, 0xff, bytes);
    ASAN_POISON_MEMORY_REGION(block + bytes, room - bytes);
    close();
    return block;
  }

  bool give(void* block) {
    const std::scoped_lock lock(mutex);
    const auto at = blocks_.find(static_cast<std::byte*>(block));
    if (at == blocks_.end()) return false;
    const auto [bytes, gpu] = at->second;
    in_use_[gpu] -= bytes;
    blocks_.erase(at);
    given_[(bytes + grain - 1) / grain * grain + grain].push_back(static_cast<std::byte*>(block));
    ASAN_POISON_MEMORY_REGION(block, bytes);
    return true;
  }

  // The GPU whose memory this is, or -1.
  int owner(const void* data) {
    const std::scoped_lock lock(mutex);
    auto at = blocks_.upper_bound(static_cast<std::byte*>(const_cast<void*>(data)));
    if (at == blocks_.begin()) return -1;
    --at;
    return data <= at->first + at->second.bytes ? at->second.gpu : -1;
  }

  std::size_t in_use(int gpu) { return in_use_[gpu]; }

  void open() {
    ++open_;
    if (opened_ < used_) mprotect(base_, used_, PROT_READ | PROT_WRITE);
    opened_ = used_;
  }
  void close() {
    if (--open_ > 0 || opened_ == 0 || used_ > most_guarded) return;
    mprotect(base_, opened_, PROT_NONE);
    opened_ = 0;
  }

 private:
  struct Block {
    std::size_t bytes;
    int gpu;
  };

  Arena()
      : base_(static_cast<std::byte*>(
            mmap(nullptr, arena_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {}

  std::byte* base_;
  std::size_t used_ = 0, opened_ = 0;
  int open_ = 0;
  std::map<std::byte*, Block> blocks_;
  std::map<std::size_t, std::deque<std::byte*>> given_;  // back, by their room
  std::map<int, std::size_t> in_use_;
};

// While the memory of GPUs can be touched.
class Opened {
 public:
  Opened() : lock_(Arena::instance().mutex) { Arena::instance().open(); }
  ~Opened() { Arena::instance().close(); }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;

 private:
  std::scoped_lock<std::recursive_mutex> lock_;
};

std::mutex captures_mutex;
std::map<cudaStream_t, SimulatedGraph*> captures;

SimulatedGraph* capture_of(cudaStream_t stream) {
  const std::scoped_lock lock(captures_mutex);
  const auto at = captures.find(stream);
  return at == captures.end() ? nullptr : at->second;
}
bool anything_is_captured() {
  const std::scoped_lock lock(captures_mutex);
  return !captures.empty();
}

// What waits for a GPU, or asks it for memory, cannot be part of a graph.
cudaError_t synchronise() {
  ++counters().synchronisations;
  return anything_is_captured() ? failed(cudaErrorStreamCaptureUnsupported) : cudaSuccess;
}

std::set<const void*> pinned;

}  // namespace

Counters& counters() {
  static Counters counters;
  return counters;
}

void queue(cudaStream_t stream, Work work) {
  if (SimulatedGraph* graph = capture_of(stream)) {
    graph->work.push_back(std::move(work));
    return;
  }
  const Opened opened;
  work();
}

}  // namespace tutti::simt

using namespace tutti::simt;  // NOLINT: what follows is CUDA's, outside of any namespace

cudaError_t cudaGetDeviceCount(int* count) {
  *count = counters().gpus;
  return *count > 0 ? cudaSuccess : failed(cudaErrorNoDevice);
}
cudaError_t cudaGetDevice(int* gpu) {
  *gpu = current_gpu;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int gpu) {
  if (gpu < 0 || gpu >= counters().gpus) return failed(cudaErrorInvalidDevice);
  current_gpu = gpu;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = 4;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = 8;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(most_dynamic_shared);
      break;
  }
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() { return synchronise(); }
cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return last_error; }
const char* cudaGetErrorString(cudaError_t status) {
  return status == cudaErrorStreamCaptureUnsupported ? "operation not permitted when stream is capturing"
                                                     : "an error of a simulated GPU";
}
const char* cudaGetErrorName(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorStreamCaptureUnsupported:
      return "cudaErrorStreamCaptureUnsupported";
    default:
      return "cudaError";
  }
}

cudaError_t cudaMalloc(void** data, std::size_t bytes) {
  ++counters().allocations;
  if (anything_is_captured()) return failed(cudaErrorStreamCaptureUnsupported);
  *data = Arena::instance().take(bytes);
  return *data ? cudaSuccess : failed(cudaErrorMemoryAllocation);
}
cudaError_t cudaFree(void* data) {
  return data == nullptr || Arena::instance().give(data) ? cudaSuccess : failed(cudaErrorInvalidValue);
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *total = gpu_bytes;
  *free = gpu_bytes - Arena::instance().in_use(current_gpu);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* data, int value, std::size_t bytes, cudaStream_t stream) {
  queue(stream, [=] { std::memset(data, value, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemset(void* data, int value, std::size_t bytes) { return cudaMemsetAsync(data, value, bytes, nullptr); }
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const auto is_gpu = [](const void* data) { return Arena::instance().owner(data) >= 0; };
  const bool from_gpu = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  const bool to_gpu = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  if (bytes > 0 && kind != cudaMemcpyDefault && (is_gpu(from) != from_gpu || is_gpu(to) != to_gpu))
    return failed(cudaErrorInvalidValue);
  queue(stream, [=] { std::memmove(to, from, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  if (const auto status = synchronise(); status != cudaSuccess) return status;
  return cudaMemcpyAsync(to, from, bytes, kind, nullptr);
}
cudaError_t cudaMemcpyPeerAsync(void* to, int, const void* from, int, std::size_t bytes, cudaStream_t stream) {
  return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream);
}
cudaError_t cudaMemcpyPeer(void* to, int, const void* from, int, std::size_t bytes) {
  return cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToDevice);
}

cudaError_t cudaHostRegister(void* data, std::size_t, unsigned) {
  const std::scoped_lock lock(Arena::instance().mutex);
  return pinned.insert(data).second ? cudaSuccess : failed(cudaErrorHostMemoryAlreadyRegistered);
}
cudaError_t cudaHostUnregister(void* data) {
  const std::scoped_lock lock(Arena::instance().mutex);
  return pinned.erase(data) == 1 ? cudaSuccess : failed(cudaErrorInvalidValue);
}
cudaError_t cudaHostAlloc(void** data, std::size_t bytes, unsigned) {
  *data = ::operator new(bytes, std::align_val_t{64});
  return cudaHostRegister(*data, bytes, 0);
}
cudaError_t cudaFreeHost(void* data) {
  const auto status = cudaHostUnregister(data);
  if (status == cudaSuccess) ::operator delete(data, std::align_val_t{64});
  return status;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* data) {
  const int gpu = Arena::instance().owner(data);
  const std::scoped_lock lock(Arena::instance().mutex);
  void* there = const_cast<void*>(data);
  *attributes = gpu >= 0                ? cudaPointerAttributes{cudaMemoryTypeDevice, gpu, there, nullptr}
                : pinned.contains(data) ? cudaPointerAttributes{cudaMemoryTypeHost, current_gpu, there, there}
                                        : cudaPointerAttributes{cudaMemoryTypeUnregistered, -2, nullptr, there};
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new SimulatedStream{current_gpu};
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) { return synchronise(); }
cudaError_t cudaStreamQuery(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new SimulatedEvent;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
  event->at = Clock::now();
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventSynchronize(cudaEvent_t) { return synchronise(); }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  *milliseconds = std::chrono::duration<float, std::milli>(to->at - from->at).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (stream == nullptr) return failed(cudaErrorStreamCaptureUnsupported);
  const std::scoped_lock lock(captures_mutex);
  return captures.emplace(stream, new SimulatedGraph).second ? cudaSuccess : failed(cudaErrorInvalidValue);
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::scoped_lock lock(captures_mutex);
  const auto at = captures.find(stream);
  if (at == captures.end()) return failed(cudaErrorInvalidValue);
  *graph = at->second;
  captures.erase(at);
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status = capture_of(stream) ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode*) { return cudaSuccess; }
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new SimulatedGraph(*graph);
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  for (const Work& work : exec->work) queue(stream, work);
  return cudaSuccess;
}
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, void*, std::size_t* count) {
  *count = graph->work.size();
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
