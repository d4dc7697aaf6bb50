// Memory of a device: taken, given back, copied and set.
#pragma once

#include <cstddef>

#include "kernels/launch.h"

namespace tutti::kernels {

struct Allocate {
  static constexpr const char* name = "allocate";
  // At least `bytes` bytes, aligned to 64; never null. Throws DeviceError where there is no more. On a GPU
  // the memory is the current one's, see launch.h.
  static void* cpu(std::size_t bytes);
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

// Between any two devices; returns when `to` holds the bytes.
struct CopyBytes {
  static constexpr const char* name = "copy_bytes";
  static void cpu(void* to, Device to_device, const void* from, Device from_device, std::size_t bytes);
  static void cuda(void* to, Device to_device, const void* from, Device from_device, std::size_t bytes);
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

void copy_bytes(void* to, Device to_device, const void* from, Device from_device, std::size_t bytes);

}  // namespace tutti::kernels
