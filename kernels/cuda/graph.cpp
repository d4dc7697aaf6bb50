#include "kernels/cuda/graph.h"

#include <fmt/format.h>

#include <exception>
#include <vector>

#include "kernels/cuda/check.h"
#include "kernels/cuda/device_cache.h"
#include "kernels/cuda/stream.h"
#include "kernels/launch.h"
#include "tutti/core/cuda.h"
#include "tutti/core/cuda_graph.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

struct Capture {
  int gpu;
  cudaStream_t stream;
  std::vector<std::function<void(cudaStream_t)>>* callbacks;
};
thread_local Capture* under_way = nullptr;

}  // namespace

namespace kernels {

bool is_capturing() { return under_way != nullptr; }

int captured_gpu() { return under_way ? under_way->gpu : -1; }

cudaStream_t captured_stream() { return under_way ? under_way->stream : nullptr; }

void throw_not_in_graph(const char* what) {
  throw DeviceError(
      fmt::format("{} cannot be part of a CUDA graph: the GPU computes nothing while it is captured", what));
}

void each_replay(std::function<void(cudaStream_t)> callback) {
  if (!under_way) throw DeviceError("each_replay: no CUDA graph is captured by this thread");
  under_way->callbacks->push_back(std::move(callback));
}

}  // namespace kernels

namespace cuda {

using kernels::check;

// The graph of one capture, and what it needs as long as it may be replayed.
struct Graph::Impl {
  explicit Impl(Device gpu) : device(gpu), done(gpu) {}
  ~Impl() { give_up(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void give_up() noexcept {
    const kernels::GpuScope current(device.index());
    // Errors are those of earlier work, or of a process that ends.
    cudaEventSynchronize(static_cast<cudaEvent_t>(done.handle()));
    if (exec) cudaGraphExecDestroy(std::exchange(exec, nullptr));
    callbacks.clear();
    if (pool) kernels::DeviceCache::instance().close(*std::exchange(pool, nullptr));
  }

  Device device;
  Event done;  // the last replay, or what was queued before the capture
  cudaGraphExec_t exec = nullptr;
  kernels::DevicePool* pool = nullptr;
  std::vector<std::function<void(cudaStream_t)>> callbacks;
};

namespace {

// This thread's work on a GPU is captured on a stream of its own.
class Capturing {
 public:
  Capturing(int gpu, cudaStream_t on, std::vector<std::function<void(cudaStream_t)>>& callbacks)
      : state_{gpu, on, &callbacks}, former_(kernels::set_stream(gpu, on)) {
    const cudaError_t status = cudaStreamBeginCapture(on, cudaStreamCaptureModeThreadLocal);
    if (status != cudaSuccess) kernels::set_stream(gpu, former_);
    check(status, "Graph::capture");
    under_way = &state_;
  }
  ~Capturing() {
    if (!under_way) return;
    cudaGraph_t graph = nullptr;
    end(&graph);
    if (graph) cudaGraphDestroy(graph);
    cudaGetLastError();  // of a capture that was broken
  }
  Capturing(const Capturing&) = delete;
  Capturing& operator=(const Capturing&) = delete;

  cudaError_t end(cudaGraph_t* graph) {
    under_way = nullptr;
    kernels::set_stream(state_.gpu, former_);
    return cudaStreamEndCapture(state_.stream, graph);
  }

 private:
  Capture state_;
  cudaStream_t former_;
};

}  // namespace

Graph::Graph(Device device) : impl_(std::make_unique<Impl>(device)) {}
Graph::~Graph() = default;
Graph::Graph(Graph&&) noexcept = default;
Graph& Graph::operator=(Graph&&) noexcept = default;

void Graph::capture(const std::function<void()>& step, int warm_up) {
  if (kernels::is_capturing()) kernels::throw_not_in_graph("Graph::capture: another capture");
  const kernels::CurrentGpu current(impl_->device);
  const int gpu = impl_->device.index();
  impl_->give_up();
  for (int i = 0; i < warm_up; ++i) step();
  impl_->done.record();  // memory that was used before goes into the graph: so replays come after it
  const Stream own(impl_->device);
  cudaGraph_t graph = nullptr;
  try {
    auto& cache = kernels::DeviceCache::instance();
    const struct Ends {
      kernels::DeviceCache& cache;
      ~Ends() { cache.end_graph(); }
    } ends{cache};
    impl_->pool = &cache.begin_graph(gpu, kernels::stream_of(gpu));
    Capturing capturing(gpu, static_cast<cudaStream_t>(own.handle()), impl_->callbacks);
    step();
    const cudaError_t status = capturing.end(&graph);
    if (status == cudaErrorStreamCaptureInvalidated || status == cudaErrorStreamCaptureUnsupported) {
      cudaGetLastError();
      kernels::throw_not_in_graph("Graph::capture: something that the step called");
    }
    check(status, "Graph::capture");
    const cudaError_t instantiated = cudaGraphInstantiate(&impl_->exec, graph, 0);
    cudaGraphDestroy(graph);
    check(instantiated, "Graph::capture");
  } catch (...) {
    impl_->give_up();
    throw;
  }
}

void Graph::replay() {
  if (!captured()) throw DeviceError("Graph::replay: nothing was captured");
  if (kernels::is_capturing()) kernels::throw_not_in_graph("Graph::replay: a graph");
  const kernels::CurrentGpu current(impl_->device);
  const cudaStream_t stream = kernels::current_stream();
  impl_->done.wait();
  for (const auto& callback : impl_->callbacks) callback(stream);
  check(cudaGraphLaunch(impl_->exec, stream), "Graph::replay");
  impl_->done.record();
  kernels::launched("Graph::replay", stream);
}

bool Graph::captured() const { return impl_ && impl_->exec; }

std::size_t Graph::bytes() const {
  return impl_ && impl_->pool ? kernels::DeviceCache::instance().bytes_of(*impl_->pool) : 0;
}

bool is_capturing() { return kernels::is_capturing(); }

void each_replay(std::function<void()> callback) {
  kernels::each_replay([callback = std::move(callback)](cudaStream_t) { callback(); });
}

}  // namespace cuda
}  // namespace tutti
