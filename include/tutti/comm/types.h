/// \file
/// What a collective is told: the reduction, the deadline, the stream.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tutti {

/// How elements are combined. `avg` is the sum divided by the number of ranks (floating point only).
enum class ReduceOp : std::uint8_t { sum, avg, min, max, prod };

constexpr std::string_view name_of(ReduceOp op) {
  constexpr std::string_view names[] = {"sum", "avg", "min", "max", "prod"};
  return names[static_cast<std::size_t>(op)];
}

namespace comm {

/// A queue of work on a device: a `cudaStream_t`, or null for the host and for the device's default stream.
using Stream = void*;

/// Options of one collective.
struct Options {
  /// How long to wait for the other ranks; the communicator's own deadline where none is given.
  std::optional<std::chrono::milliseconds> timeout{};
  /// The stream after whose work the collective runs, and that `Work::wait_on` orders behind it.
  Stream stream = nullptr;
};

}  // namespace comm
}  // namespace tutti
