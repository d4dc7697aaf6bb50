#include "kernels/cuda/stream.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "kernels/cuda/check.h"
#include "kernels/cuda/device_cache.h"
#include "kernels/cuda/graph.h"
#include "kernels/launch.h"
#include "tutti/core/cuda.h"
#include "tutti/core/error.h"

namespace tutti {
namespace kernels {
namespace {

// By GPU; empty until a scope says something else than the default.
thread_local std::vector<cudaStream_t> streams;

}  // namespace

int current_gpu() {
  int gpu = 0;
  check(cudaGetDevice(&gpu), "cudaGetDevice");
  return gpu;
}

cudaStream_t stream_of(int gpu) {
  return static_cast<std::size_t>(gpu) < streams.size() ? streams[static_cast<std::size_t>(gpu)] : nullptr;
}

cudaStream_t set_stream(int gpu, cudaStream_t stream) {
  const auto at = static_cast<std::size_t>(gpu);
  if (at >= streams.size()) {
    if (stream == nullptr) return nullptr;
    streams.resize(at + 1);
  }
  return std::exchange(streams[at], stream);
}

cudaStream_t current_stream() {
  if (streams.empty()) return nullptr;
  const int gpu = current_gpu();
  if (is_capturing() && gpu != captured_gpu()) {  // it would run now, and at no replay
    throw_not_in_graph(fmt::format("cuda:{}: work of another GPU than cuda:{}", gpu, captured_gpu()).c_str());
  }
  const cudaStream_t stream = stream_of(gpu);
  // Memory goes from one tensor to the next in the order of one stream.
  if (is_capturing() && stream != captured_stream()) throw_not_in_graph("work on another stream");
  return stream;
}

}  // namespace kernels

namespace cuda {
namespace {

using kernels::check;

cudaStream_t stream_in(void* handle) { return static_cast<cudaStream_t>(handle); }
cudaEvent_t event_in(void* handle) { return static_cast<cudaEvent_t>(handle); }

Device gpu_for(const char* what, Device device) {
  if (device.is_cpu()) throw DeviceError(fmt::format("{}: needs a GPU, not the cpu", what));
  return device;
}

void not_while_capturing(const char* what) {
  if (kernels::is_capturing()) kernels::throw_not_in_graph(what);
}

bool is_ready(cudaError_t status, const char* what) {
  if (status == cudaErrorNotReady) {
    cudaGetLastError();
    return false;
  }
  check(status, what);
  return true;
}

}  // namespace

Stream::Stream(Device device) : device_(gpu_for("Stream", device)) {
  const kernels::CurrentGpu current(device_);
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "Stream");
  handle_ = stream;
}

Stream::~Stream() {
  // Errors are those of earlier work, or of a process that ends: the driver may be gone.
  const kernels::GpuScope current(device_.index());
  cudaStreamSynchronize(stream_in(handle_));
  kernels::DeviceCache::instance().forget(device_.index(), stream_in(handle_));
  cudaStreamDestroy(stream_in(handle_));
}

void Stream::synchronize() const {
  not_while_capturing("Stream::synchronize");
  const kernels::CurrentGpu current(device_);
  check(cudaStreamSynchronize(stream_in(handle_)), "Stream::synchronize");
}

bool Stream::query() const {
  const kernels::CurrentGpu current(device_);
  return is_ready(cudaStreamQuery(stream_in(handle_)), "Stream::query");
}

StreamScope::StreamScope(const Stream& stream) : StreamScope(stream.device(), stream.handle()) {}

StreamScope::StreamScope(Device device, void* stream)
    : device_(gpu_for("StreamScope", device)),
      former_(kernels::set_stream(device.index(), stream_in(stream))) {}

StreamScope::~StreamScope() { kernels::set_stream(device_.index(), stream_in(former_)); }

void* current_stream(Device device) { return device.is_cpu() ? nullptr : kernels::stream_of(device.index()); }

void synchronize(Device device) {
  if (device.is_cpu()) return;
  not_while_capturing("synchronize");
  const kernels::CurrentGpu current(device);
  check(cudaDeviceSynchronize(), "synchronize");
}

Event::Event(Device device, bool timed) : device_(gpu_for("Event", device)), timed_(timed) {
  const kernels::CurrentGpu current(device_);
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, timed ? cudaEventDefault : cudaEventDisableTiming), "Event");
  handle_ = event;
}

Event::~Event() { cudaEventDestroy(event_in(handle_)); }

void Event::record() {
  const kernels::CurrentGpu current(device_);
  check(cudaEventRecord(event_in(handle_), kernels::current_stream()), "Event::record");
}

void Event::wait(Device other) const {
  const kernels::CurrentGpu current(gpu_for("Event::wait", other));
  check(cudaStreamWaitEvent(kernels::current_stream(), event_in(handle_), 0), "Event::wait");
}

void Event::synchronize() const {
  not_while_capturing("Event::synchronize");
  check(cudaEventSynchronize(event_in(handle_)), "Event::synchronize");
}

bool Event::query() const { return is_ready(cudaEventQuery(event_in(handle_)), "Event::query"); }

float Event::milliseconds_since(const Event& earlier) const {
  if (!timed_ || !earlier.timed_)
    throw DeviceError("Event::milliseconds_since: both events are to be made timed");
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, event_in(earlier.handle_), event_in(handle_)),
        "Event::milliseconds_since");
  return milliseconds;
}

}  // namespace cuda
}  // namespace tutti
