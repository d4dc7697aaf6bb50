#include "kernels/memory.h"

#include <mutex>
#include <set>
#include <utility>

#include "kernels/cuda/check.h"
#include "kernels/cuda/device_cache.h"
#include "kernels/cuda/graph.h"
#include "kernels/cuda/staging.h"
#include "kernels/cuda/stream.h"

namespace tutti::kernels {
namespace {

bool is_pinned(const void* host) {
  cudaPointerAttributes attributes{};
  check(cudaPointerGetAttributes(&attributes, host), CopyBytes::name);
  return attributes.type == cudaMemoryTypeHost;
}

void copy_to_gpu(void* to, const void* from, std::size_t bytes, CopyMode mode) {
  const bool pinned = is_pinned(from);
  if (is_capturing()) {
    if (mode == CopyMode::constant) return queue_bytes(CopyBytes::name, to, from, bytes);
    if (mode != CopyMode::non_blocking || !pinned)
      throw_not_in_graph(
          "copy_bytes: a copy from the host, other than a non-blocking one from pinned memory,");
  }
  const cudaStream_t stream = current_stream();
  if (!pinned && bytes >= StagingRing::least_bytes && StagingRing::current().to_gpu(to, from, bytes, stream))
    return;
  // Returns when the bytes of pageable memory are the driver's; those of pinned memory the GPU fetches itself, later.
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream), CopyBytes::name);
  if (pinned && mode != CopyMode::non_blocking) check(cudaStreamSynchronize(stream), CopyBytes::name);
}

void copy_to_host(void* to, const void* from, std::size_t bytes, CopyMode mode) {
  const bool pinned = is_pinned(to);
  const bool waits = !pinned || mode != CopyMode::non_blocking;
  if (is_capturing() && waits)
    throw_not_in_graph("copy_bytes: a copy to the host, as of item() or to(Device::cpu()),");
  const cudaStream_t stream = current_stream();
  if (!pinned && bytes >= StagingRing::least_bytes && StagingRing::current().to_host(to, from, bytes, stream))
    return;
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream), CopyBytes::name);
  if (waits) check(cudaStreamSynchronize(stream), CopyBytes::name);
}

// What comes next on the current stream of `after` runs when that of `before` has done what is queued there.
void order(int before, int after) {
  const GpuScope source(before);
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), CopyBytes::name);
  cudaError_t status = cudaEventRecord(event, stream_of(before));
  const GpuScope target(after);
  if (status == cudaSuccess) status = cudaStreamWaitEvent(stream_of(after), event, 0);
  cudaEventDestroy(event);
  check(status, CopyBytes::name);
}

// Without it, GPUs copy by way of the host.
void let_access(int gpu, int peer) {
  static std::mutex mutex;
  static auto& let = *new std::set<std::pair<int, int>>;
  const std::lock_guard lock(mutex);
  if (!let.emplace(gpu, peer).second) return;
  int can = 0;
  if (cudaDeviceCanAccessPeer(&can, gpu, peer) == cudaSuccess && can == 1)
    cudaDeviceEnablePeerAccess(peer, 0);
  cudaGetLastError();  // it costs speed alone
}

// `to` is of the current GPU. Both streams see the copy in their order: the source may change or go right afterwards.
void copy_between(void* to, int to_gpu, const void* from, int from_gpu, std::size_t bytes) {
  if (is_capturing()) throw_not_in_graph("copy_bytes: a copy between GPUs");
  let_access(to_gpu, from_gpu);
  order(from_gpu, to_gpu);
  check(cudaMemcpyPeerAsync(to, to_gpu, from, from_gpu, bytes, current_stream()), CopyBytes::name);
  order(to_gpu, from_gpu);
}

}  // namespace

void* Allocate::cuda(std::size_t bytes) { return DeviceCache::instance().take(bytes); }

void* AllocateUnused::cuda(std::size_t bytes) { return DeviceCache::instance().take(bytes, true); }

void Free::cuda(void* data, std::size_t) noexcept { DeviceCache::instance().give(data); }

void SetZero::cuda(void* data, std::size_t bytes) {
  check(cudaMemsetAsync(data, 0, bytes, current_stream()), name);
}

void CopyBytes::cuda(void* to, Device to_device, const void* from, Device from_device, std::size_t bytes,
                     CopyMode mode) {
  if (bytes == 0) return;
  if (to_device.is_cpu()) return copy_to_host(to, from, bytes, mode);
  if (from_device.is_cpu()) return copy_to_gpu(to, from, bytes, mode);
  if (to_device != from_device) return copy_between(to, to_device.index(), from, from_device.index(), bytes);
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, current_stream()), name);
}

bool Pin::cuda(void* data, std::size_t bytes) {
  if (cudaHostRegister(data, bytes, cudaHostRegisterPortable) == cudaSuccess) return true;
  cudaGetLastError();
  return false;
}

void Unpin::cuda(void* data) noexcept { cudaHostUnregister(data); }

}  // namespace tutti::kernels
