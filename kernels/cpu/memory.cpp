#include "kernels/memory.h"

#include <fmt/format.h>

#include <cstring>

#include "core/block_cache.h"
#include "core/parallel_for.h"
#include "tutti/core/error.h"

namespace tutti::kernels {
namespace {

constexpr std::int64_t piece_bytes = 1 << 19;

}  // namespace

void throw_no_kernel(const char* kernel, Device device) {
  throw DeviceError(
      with_cuda ? fmt::format("{}: there is no kernel for {} yet; move the operands with to(Device::cpu())",
                              kernel, device.str())
                : fmt::format("{}: cannot run on {}: Tutti was built without CUDA", kernel, device.str()));
}

void* Allocate::cpu(std::size_t bytes) {
  void* data = memory::BlockCache::instance().take(bytes);
  if (data == nullptr) throw DeviceError(fmt::format("allocate: no {} bytes of memory left on cpu", bytes));
  return data;
}

void Free::cpu(void* data, std::size_t bytes) noexcept { memory::BlockCache::instance().give(data, bytes); }

void SetZero::cpu(void* data, std::size_t bytes) {
  parallel_for(static_cast<std::int64_t>(bytes), piece_bytes, [data](std::int64_t first, std::int64_t last) {
    std::memset(static_cast<std::byte*>(data) + first, 0, static_cast<std::size_t>(last - first));
  });
}

void CopyBytes::cpu(void* to, Device, const void* from, Device, std::size_t bytes, CopyMode) {
  parallel_for(static_cast<std::int64_t>(bytes), piece_bytes, [=](std::int64_t first, std::int64_t last) {
    std::memcpy(static_cast<std::byte*>(to) + first, static_cast<const std::byte*>(from) + first,
                static_cast<std::size_t>(last - first));
  });
}

void copy_bytes(void* to, Device to_device, const void* from, Device from_device, std::size_t bytes,
                CopyMode mode) {
  launch<CopyBytes>(to_device.is_cpu() ? from_device : to_device, to, to_device, from, from_device, bytes,
                    mode);
}

}  // namespace tutti::kernels
