/// \file
/// CUDA graphs: a step that is always the same is captured once, and replayed with one call of the driver.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "tutti/core/device.h"

namespace tutti::cuda {

/// What a function queues on one GPU, to be run again and again:
///
///     cuda::Graph graph;
///     step();                                // so that all that is made once is there
///     graph.capture([&] { step(); });
///     while (...) {
///       input.copy_(next());                 // what changes is put where the step looks for it
///       graph.replay();
///     }
///
/// The GPU does nothing during the capture: what the step makes has its values from the first replay on. The host's part of the
/// step runs in the capture alone; what changes on the host from step to step goes by `each_replay`.
///
/// Memory that the step takes, and gives back, stays the graph's until it is destroyed; tensors that outlive it keep their
/// memory. Each replay writes to the same addresses. Tensors made before the capture that the graph reads or writes must be
/// kept by the caller, unless it was the captured step that let go of them.
class Graph {
 public:
  explicit Graph(Device device = Device::cuda());
  /// Waits for the last replay.
  ~Graph();
  Graph(Graph&&) noexcept;
  Graph& operator=(Graph&&) noexcept;

  /// Runs `step` once, and keeps what it queues on the device in this thread. Before that it runs `warm_up` times as
  /// always, with all that this changes. A former capture is given up.
  /// \throws DeviceError where it waits for the GPU, copies to the host or does something else that cannot be part of a graph;
  ///         what `step` throws passes through. Then there is nothing to replay, and all goes on as before.
  void capture(const std::function<void()>& step, int warm_up = 0);

  /// Queues all of it on the current stream. \throws DeviceError where nothing was captured.
  void replay();

  bool captured() const;
  /// Bytes of the GPU that are the graph's.
  std::size_t bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Whether this thread runs the step of a Graph::capture.
bool is_capturing();

/// During a capture: calls `callback` at each replay, before the GPU is given the graph, in the order that they were registered
/// in. What it refers to outlives the graph. \throws DeviceError outside of a capture.
void each_replay(std::function<void()> callback);

}  // namespace tutti::cuda
