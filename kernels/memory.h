// Memory of a device: taken, given back, copied and set.
#pragma once

#include <cstddef>

#include "kernels/launch.h"

namespace tutti::kernels {

struct Allocate {
  static constexpr const char* name = "allocate";
  // At least `bytes` bytes, aligned to 64; never null. Throws DeviceError where there is no more. On a GPU
  // the memory is the current one's, see launch.h, and its current stream's: it goes back in the order of that stream.
  static void* cpu(std::size_t bytes);
  static void* cuda(std::size_t bytes);
};

// The same, but never memory that was used before: in a CUDA graph, what an earlier part of it has written would be written again
// at each replay. For what is set from outside.
struct AllocateUnused {
  static constexpr const char* name = Allocate::name;
  static void* cpu(std::size_t bytes) { return Allocate::cpu(bytes); }
  static void* cuda(std::size_t bytes);
};

struct Free {
  static constexpr const char* name = "free";
  // `bytes` as of Allocate.
  static void cpu(void* data, std::size_t bytes) noexcept;
  static void cuda(void* data, std::size_t bytes) noexcept;
};

struct SetZero {
  static constexpr const char* name = "set_zero";
  static void cpu(void* data, std::size_t bytes);
  static void cuda(void* data, std::size_t bytes);
};

// When the host may go on after a copy. A CPU's own copies are done when they return.
enum class CopyMode {
  // `from` may be changed; `to` holds the bytes if it is the host's, else for whatever comes on its GPU's current stream.
  ordered,
  // Pinned memory of the host (see Pin) must stay as it is until the stream has come past the copy. Other memory: as above.
  non_blocking,
  // As `ordered`, and the bytes of the host are the same whenever this is run: a CUDA graph may repeat them at each replay.
  constant
};

// Between any two devices, in the order of their current streams.
struct CopyBytes {
  static constexpr const char* name = "copy_bytes";
  static void cpu(void* to, Device to_device, const void* from, Device from_device, std::size_t bytes,
                  CopyMode mode);
  static void cuda(void* to, Device to_device, const void* from, Device from_device, std::size_t bytes,
                   CopyMode mode);
};

// Pins pages of the host, which makes copies between them and a GPU several times as fast; the CPU needs nothing. Returns
// false where they cannot be pinned: it costs speed alone.
struct Pin {
  static constexpr const char* name = "pin";
  static bool cpu(void*, std::size_t) { return false; }
  static bool cuda(void* data, std::size_t bytes);
};

struct Unpin {
  static constexpr const char* name = "unpin";
  static void cpu(void*) noexcept {}
  static void cuda(void* data) noexcept;
};

void copy_bytes(void* to, Device to_device, const void* from, Device from_device, std::size_t bytes,
                CopyMode mode = CopyMode::ordered);

}  // namespace tutti::kernels
