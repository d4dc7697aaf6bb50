/// \file
/// What a collective is told: the deadline, the stream and the order of its sums.
#pragma once

#include <chrono>
#include <optional>

#include "tutti/core/reduce_op.h"

namespace tutti::comm {

/// A queue of work on a device: a `cudaStream_t`. Null for the host; as the `Options` of a GPU's collective, for the stream
/// that the calling thread queues its work on; as the argument of `Work::wait_on`, for the device's default stream.
using Stream = void*;

/// Options of one collective.
struct Options {
  /// How long to wait for the other ranks; the communicator's own deadline where none is given.
  std::optional<std::chrono::milliseconds> timeout{};
  /// The stream after whose work the collective runs, and that `Work::wait_on` orders behind it.
  Stream stream = nullptr;
  /// Of reductions; every rank gives the same.
  ReduceOrder order = ReduceOrder::tree;
};

}  // namespace tutti::comm
