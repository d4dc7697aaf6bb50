#include "kernels/memory.h"

#include <fmt/format.h>

#include <cstring>

#include "core/block_cache.h"
#include "tutti/core/error.h"

namespace tutti::kernels {
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

void SetZero::cpu(void* data, std::size_t bytes) { std::memset(data, 0, bytes); }

void CopyBytes::cpu(void* to, Device, const void* from, Device, std::size_t bytes) {
  if (bytes != 0) std::memcpy(to, from, bytes);
}

void copy_bytes(void* to, Device to_device, const void* from, Device from_device, std::size_t bytes) {
  launch<CopyBytes>(to_device.is_cpu() ? from_device : to_device, to, to_device, from, from_device, bytes);
}

}  // namespace tutti::kernels
