#include "kernels/memory.h"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>

#include "tutti/core/error.h"

namespace tutti::kernels {
namespace {

constexpr std::size_t alignment = 64;

}  // namespace

void throw_no_kernel(const char* kernel, Device device) {
  throw DeviceError(
      with_cuda ? fmt::format("{}: there is no kernel for {} yet; move the operands with to(Device::cpu())",
                              kernel, device.str())
                : fmt::format("{}: cannot run on {}: Tutti was built without CUDA", kernel, device.str()));
}

void* Allocate::cpu(std::size_t bytes) {
  const std::size_t rounded = (bytes / alignment + 1) * alignment;
  void* data = rounded > bytes ? std::aligned_alloc(alignment, rounded) : nullptr;
  if (data == nullptr) throw DeviceError(fmt::format("allocate: no {} bytes of memory left on cpu", bytes));
  return data;
}

void Free::cpu(void* data) noexcept { std::free(data); }

void SetZero::cpu(void* data, std::size_t bytes) { std::memset(data, 0, bytes); }

void CopyBytes::cpu(void* to, Device, const void* from, Device, std::size_t bytes) {
  if (bytes != 0) std::memcpy(to, from, bytes);
}

void copy_bytes(void* to, Device to_device, const void* from, Device from_device, std::size_t bytes) {
  launch<CopyBytes>(to_device.is_cpu() ? from_device : to_device, to, to_device, from, from_device, bytes);
}

}  // namespace tutti::kernels
