#include "tests/simt/streams.h"

#include <chrono>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "tests/simt/arena.h"

using Work = std::function<void()>;
using Clock = std::chrono::steady_clock;

struct SimulatedGraph {
  std::vector<Work> work;
  bool invalid = false;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;  // of the capture, as the next
  std::thread::id thread{};
};

// Work is numbered from 1 on.
struct SimulatedStream {
  std::deque<Work> waiting;
  std::size_t queued = 0, done = 0;
  std::shared_ptr<SimulatedGraph> captured;

  void run_to(std::size_t number) {
    const tutti::simt::Opened opened;
    while (done < number && !waiting.empty()) {
      const Work work = std::move(waiting.front());
      waiting.pop_front();
      ++done;
      work();
    }
  }
};

// Where it was recorded, if it was.
struct SimulatedEvent {
  std::shared_ptr<SimulatedStream> stream;
  std::size_t number = 0;
  std::shared_ptr<Clock::time_point> at = std::make_shared<Clock::time_point>();
  std::shared_ptr<SimulatedGraph> captured;

  bool passed() const { return !stream || stream->done >= number; }
};

namespace tutti::simt {
namespace {

thread_local cudaStreamCaptureMode thread_mode = cudaStreamCaptureModeGlobal;

// All that is here is touched with the arena's mutex.
struct Locked {
  std::scoped_lock<std::recursive_mutex> lock{Arena::instance().mutex};
};

struct Streams {
  std::vector<std::shared_ptr<SimulatedStream>> defaults;  // by their GPU
  std::set<std::shared_ptr<SimulatedStream>> others;
  int late = 0;
  cudaError_t fault = cudaSuccess;

  static Streams& instance() {
    static auto& streams = *new Streams;
    return streams;
  }
  Streams() {
    const char* text = std::getenv("TUTTI_SIMT_STREAMS");
    if (text && std::string_view(text) == "late") late = 1;
    for (int gpu = 0; gpu < 16; ++gpu) defaults.push_back(std::make_shared<SimulatedStream>());
  }

  std::shared_ptr<SimulatedStream> of(cudaStream_t stream) {
    if (stream == nullptr) return defaults[static_cast<std::size_t>(current_gpu)];
    for (const auto& other : others) {
      if (other.get() == stream) return other;
    }
    return nullptr;
  }

  template <typename F>
  void for_all(F f) {
    for (const auto& stream : defaults) f(*stream);
    for (const auto& stream : others) f(*stream);
  }
};

Streams& streams() { return Streams::instance(); }

// Of a call that waits for the stream, whose work has run since.
cudaError_t synchronise(SimulatedStream& stream, std::size_t number) {
  ++counters().synchronisations;
  if (stream.captured) {
    stream.captured->invalid = true;
    return failed(cudaErrorStreamCaptureUnsupported);
  }
  stream.run_to(number);
  const cudaError_t fault = std::exchange(streams().fault, cudaSuccess);
  return fault == cudaSuccess ? fault : failed(fault);
}

// Someone who asks again and again sees it done at last.
cudaError_t query(SimulatedStream& stream, std::size_t number) {
  if (stream.done >= number) return cudaSuccess;
  stream.run_to(stream.done + 1);
  return cudaErrorNotReady;
}

}  // namespace

LateStreams::LateStreams() {
  const Locked locked;
  ++streams().late;
}
LateStreams::~LateStreams() {
  const Locked locked;
  --streams().late;
  finish_all();
}

void queue(cudaStream_t stream, Work work) {
  const Locked locked;
  const auto to = streams().of(stream);
  if (to->captured) {
    if (to->captured->invalid) failed(cudaErrorStreamCaptureInvalidated);
    to->captured->work.push_back(std::move(work));
    return;
  }
  to->waiting.push_back(std::move(work));
  ++to->queued;
  if (streams().late == 0) to->run_to(to->queued);
}

void queue_fault(cudaStream_t stream, cudaError_t status) {
  queue(stream, [status] { streams().fault = status; });
}

bool is_captured(cudaStream_t stream) {
  const Locked locked;
  return streams().of(stream)->captured != nullptr;
}

bool may_ask_the_driver() {
  if (thread_mode == cudaStreamCaptureModeRelaxed) return true;
  const Locked locked;
  bool may = true;
  streams().for_all([&](SimulatedStream& stream) {
    const auto& graph = stream.captured;
    if (!graph || graph->mode == cudaStreamCaptureModeRelaxed) return;
    if (graph->mode == cudaStreamCaptureModeThreadLocal && graph->thread != std::this_thread::get_id())
      return;
    graph->invalid = true;
    may = false;
  });
  return may;
}

void finish(cudaStream_t stream) {
  const Locked locked;
  const auto all = streams().of(stream);
  all->run_to(all->queued);
}
void finish_all() {
  const Locked locked;
  streams().for_all([](SimulatedStream& stream) { stream.run_to(stream.queued); });
}

}  // namespace tutti::simt

using namespace tutti::simt;  // NOLINT: what follows is CUDA's, outside of any namespace

cudaError_t cudaDeviceSynchronize() {
  const Locked locked;
  ++counters().synchronisations;
  cudaError_t status = cudaSuccess;
  streams().for_all([&](SimulatedStream& stream) {
    if (!stream.captured) return;
    stream.captured->invalid = true;
    status = failed(cudaErrorStreamCaptureUnsupported);
  });
  if (status != cudaSuccess) return status;
  finish_all();
  status = std::exchange(streams().fault, cudaSuccess);
  return status == cudaSuccess ? status : failed(status);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const Locked locked;
  const auto made = std::make_shared<SimulatedStream>();
  *stream = made.get();
  streams().others.insert(made);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const Locked locked;
  const auto gone = streams().of(stream);
  if (stream == nullptr || !gone) return failed(cudaErrorInvalidResourceHandle);
  gone->run_to(gone->queued);
  streams().others.erase(gone);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const Locked locked;
  const auto all = streams().of(stream);
  return all ? synchronise(*all, all->queued) : failed(cudaErrorInvalidResourceHandle);
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  const Locked locked;
  const auto all = streams().of(stream);
  if (!all) return failed(cudaErrorInvalidResourceHandle);
  if (all->captured) {
    all->captured->invalid = true;
    return failed(cudaErrorStreamCaptureUnsupported);
  }
  return query(*all, all->queued);
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const Locked locked;
  const auto waits = streams().of(stream);
  if (waits->captured != event->captured) {  // what joins a capture from outside, or leaves it
    if (waits->captured) waits->captured->invalid = true;
    if (event->captured) event->captured->invalid = true;
    return failed(cudaErrorStreamCaptureIsolation);
  }
  if (!event->passed())
    queue(stream, [from = event->stream, number = event->number] { from->run_to(number); });
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new SimulatedEvent;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const Locked locked;
  const auto on = streams().of(stream);
  event->captured = on->captured;
  if (on->captured) return cudaSuccess;
  event->at = std::make_shared<Clock::time_point>();
  queue(stream, [at = event->at] { *at = Clock::now(); });
  event->stream = on;
  event->number = on->queued;
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  const Locked locked;
  if (event->captured) {
    event->captured->invalid = true;
    return failed(cudaErrorStreamCaptureUnsupported);
  }
  return event->passed() ? cudaSuccess : query(*event->stream, event->number);
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const Locked locked;
  if (event->captured) {
    event->captured->invalid = true;
    return failed(cudaErrorStreamCaptureUnsupported);
  }
  if (!event->stream) return cudaSuccess;
  if (!event->stream->captured) return synchronise(*event->stream, event->number);
  ++counters().synchronisations;  // it was recorded before the stream was captured
  event->stream->run_to(event->number);
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  const Locked locked;
  if (!from->stream || !to->stream) return failed(cudaErrorInvalidResourceHandle);
  if (!from->passed() || !to->passed()) return cudaErrorNotReady;
  *milliseconds = std::chrono::duration<float, std::milli>(*to->at - *from->at).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  const Locked locked;
  const auto on = streams().of(stream);
  if (stream == nullptr) return failed(cudaErrorStreamCaptureUnsupported);
  if (on->captured) return failed(cudaErrorInvalidValue);
  on->captured = std::make_shared<SimulatedGraph>();
  on->captured->mode = mode;
  on->captured->thread = std::this_thread::get_id();
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const Locked locked;
  *graph = nullptr;
  const auto captured = std::exchange(streams().of(stream)->captured, nullptr);
  if (!captured) return failed(cudaErrorInvalidValue);
  if (captured->invalid) return failed(cudaErrorStreamCaptureInvalidated);
  *graph = new SimulatedGraph(*captured);
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const Locked locked;
  const auto& graph = streams().of(stream)->captured;
  *status = !graph           ? cudaStreamCaptureStatusNone
            : graph->invalid ? cudaStreamCaptureStatusInvalidated
                             : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  std::swap(*mode, thread_mode);
  return cudaSuccess;
}
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
