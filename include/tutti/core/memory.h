/// \file
/// How much memory tensors take, and what for.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tutti/core/device.h"

namespace tutti::memory {

/// What memory is for. Leaves that require a gradient, their gradients and the state of optimizers tell by themselves; what an
/// operation needs for itself is workspace; all else are activations, inputs among them.
enum class Category : std::uint8_t { activations, parameters, gradients, optimizer, workspace };
inline constexpr std::size_t categories = 5;
std::string_view name_of(Category category);

/// Bytes of the tensors that are there, by what they are for.
struct Usage {
  std::array<std::size_t, categories> bytes{};
  std::size_t operator[](Category category) const { return bytes[static_cast<std::size_t>(category)]; }
  std::size_t total() const;
};

struct Statistics {
  Usage now;
  Usage peak;              ///< when the total was largest, since the start or `reset_peak`
  std::size_t cached = 0;  ///< bytes that were given back, and are kept for the next tensors
  std::size_t graphs =
      0;  ///< bytes of a GPU that no tensor holds, and that the replays of a cuda::Graph write to
  std::uint64_t fresh = 0;   ///< how often memory came from the system or the driver
  std::uint64_t reused = 0;  ///< how often it had been a tensor's before
};

/// Of all threads of this process.
Statistics statistics(Device device = {});

/// From here on, `peak` counts anew.
void reset_peak(Device device = {});

/// Gives the system and the drivers of GPUs back what is kept. Seldom needed: on the CPU what is kept and what is in use come to at
/// most one and a half times the peak, and all that is kept goes before memory is said to be short. Waits for the GPUs; while a
/// cuda::Graph is captured, they keep what they have.
void empty_cache();

/// The same as a table, for people:
///
///     memory of tensors on cpu       now       peak
///     activations                12.0 MB    96.3 MB
///     ...
std::string summary(Device device = {});

}  // namespace tutti::memory
