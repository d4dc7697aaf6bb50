#include "kernels/memory.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/cuda/check.h"
#include "tutti/core/error.h"

namespace tutti::kernels {

void* Allocate::cuda(std::size_t bytes) {
  void* data = nullptr;
  const cudaError_t status = cudaMalloc(&data, std::max<std::size_t>(bytes, 1));  // 0 would give null
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    int gpu = 0;
    std::size_t free = 0;
    std::size_t total = 0;
    check(cudaGetDevice(&gpu), name);
    check(cudaMemGetInfo(&free, &total), name);
    throw DeviceError(fmt::format("allocate: no {} bytes of memory left on cuda:{}: {} of {} are free", bytes,
                                  gpu, free, total));
  }
  check(status, name);
  return data;
}

// An error here is an earlier kernel's, and the next call meets it again.
void Free::cuda(void* data, std::size_t) noexcept { cudaFree(data); }

void SetZero::cuda(void* data, std::size_t bytes) { check(cudaMemsetAsync(data, 0, bytes), name); }

void CopyBytes::cuda(void* to, Device to_device, const void* from, Device from_device, std::size_t bytes) {
  if (to_device.is_cuda() && from_device.is_cuda() && to_device != from_device) {
    // Waits for what both GPUs have under way; the plain copy knows only the current one's work.
    check(cudaMemcpyPeer(to, to_device.index(), from, from_device.index(), bytes), name);
  } else {
    const cudaMemcpyKind kind = to_device.is_cpu()     ? cudaMemcpyDeviceToHost
                                : from_device.is_cpu() ? cudaMemcpyHostToDevice
                                                       : cudaMemcpyDeviceToDevice;
    check(cudaMemcpyAsync(to, from, bytes, kind), name);
  }
  check(cudaStreamSynchronize(nullptr), name);
}

bool Pin::cuda(void* data, std::size_t bytes) {
  if (cudaHostRegister(data, bytes, cudaHostRegisterPortable) == cudaSuccess) return true;
  cudaGetLastError();
  return false;
}

void Unpin::cuda(void* data) noexcept { cudaHostUnregister(data); }

}  // namespace tutti::kernels
