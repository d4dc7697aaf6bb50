// Stands in for kernels/cuda/{device,stream,graph}.cpp where CUDA is not built.
#include "tutti/core/cuda.h"
#include "tutti/core/cuda_graph.h"
#include "tutti/core/device.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

Device none(const char* what) {
  throw DeviceError(std::string(what) + ": Tutti was built without CUDA: " TUTTI_NO_CUDA);
}

}  // namespace

bool Device::has_cuda(std::string* why) {
  if (why) *why = "Tutti was built without CUDA: " TUTTI_NO_CUDA;
  return false;
}

int Device::cuda_count() { return 0; }

Device Device::cuda(int) { return none("Device::cuda"); }

namespace cuda {

Stream::Stream(Device) : device_(none("Stream")) {}
Stream::~Stream() = default;
void Stream::synchronize() const {}
bool Stream::query() const { return true; }

StreamScope::StreamScope(const Stream& stream) : StreamScope(stream.device(), stream.handle()) {}
StreamScope::StreamScope(Device, void* stream) : device_(none("StreamScope")), former_(stream) {}
StreamScope::~StreamScope() = default;

void* current_stream(Device) { return nullptr; }
void synchronize(Device) {}

Event::Event(Device, bool timed) : device_(none("Event")), timed_(timed) {}
Event::~Event() = default;
void Event::record() {}
void Event::wait(Device) const {}
void Event::synchronize() const {}
bool Event::query() const { return true; }
float Event::milliseconds_since(const Event&) const { return 0; }

struct Graph::Impl {};
Graph::Graph(Device) { none("Graph"); }
Graph::~Graph() = default;
Graph::Graph(Graph&&) noexcept = default;
Graph& Graph::operator=(Graph&&) noexcept = default;
void Graph::capture(const std::function<void()>&, int) {}
void Graph::replay() {}
bool Graph::captured() const { return false; }
std::size_t Graph::bytes() const { return 0; }

bool is_capturing() { return false; }
void each_replay(std::function<void()>) { none("each_replay"); }

}  // namespace cuda
}  // namespace tutti
