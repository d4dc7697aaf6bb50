#include "tests/simt/runtime.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "tests/simt/arena.h"
#include "tests/simt/streams.h"

namespace tutti::simt {
namespace {

thread_local cudaError_t last_error = cudaSuccess;

// Pages of the host, from the first byte to behind the last.
std::map<const std::byte*, const std::byte*>& pinned() {
  static auto& pages =
      *new std::map<const std::byte*, const std::byte*>;  // tensors outside of functions may ask
  return pages;
}

bool is_pinned(const void* data) {
  const std::scoped_lock lock(Arena::instance().mutex);
  auto at = pinned().upper_bound(static_cast<const std::byte*>(data));
  return at != pinned().begin() && data < (--at)->second;
}

}  // namespace

Counters::Counters() {
  const char* text = std::getenv("TUTTI_SIMT_CAPABILITY");
  compute_capability = text ? std::atoi(text) : 80;
}

Counters& counters() {
  static Counters counters;
  return counters;
}

cudaError_t failed(cudaError_t status) { return last_error = status; }

}  // namespace tutti::simt

using namespace tutti::simt;  // NOLINT: what follows is CUDA's, outside of any namespace

cudaError_t cudaGetDeviceCount(int* count) {
  *count = counters().gpus;
  return *count > 0 ? cudaSuccess : failed(cudaErrorNoDevice);
}
cudaError_t cudaGetDevice(int* gpu) {
  *gpu = current_gpu;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int gpu) {
  if (gpu < 0 || gpu >= counters().gpus) return failed(cudaErrorInvalidDevice);
  current_gpu = gpu;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      *value = 4;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = counters().compute_capability / 10;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = counters().compute_capability % 10;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(most_dynamic_shared);
      break;
  }
  return cudaSuccess;
}
cudaError_t cudaDeviceCanAccessPeer(int* can, int gpu, int peer) {
  *can = gpu != peer;
  return cudaSuccess;
}
cudaError_t cudaDeviceEnablePeerAccess(int, unsigned) { return cudaSuccess; }
cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return last_error; }
const char* cudaGetErrorString(cudaError_t status) {
  return status == cudaErrorStreamCaptureUnsupported ? "operation not permitted when stream is capturing"
                                                     : "an error of a simulated GPU";
}
const char* cudaGetErrorName(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorStreamCaptureUnsupported:
      return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated:
      return "cudaErrorStreamCaptureInvalidated";
    case cudaErrorIllegalAddress:
      return "cudaErrorIllegalAddress";
    default:
      return "cudaError";
  }
}

cudaError_t cudaMalloc(void** data, std::size_t bytes) {
  ++counters().allocations;
  if (!may_ask_the_driver()) return failed(cudaErrorStreamCaptureUnsupported);
  *data = Arena::instance().take(bytes);
  return *data ? cudaSuccess : failed(cudaErrorMemoryAllocation);
}
cudaError_t cudaFree(void* data) {
  if (!may_ask_the_driver()) return failed(cudaErrorStreamCaptureUnsupported);
  finish_all();
  return data == nullptr || Arena::instance().give(data) ? cudaSuccess : failed(cudaErrorInvalidValue);
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *total = counters().gpu_bytes;
  *free = *total - Arena::instance().in_use(current_gpu);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* data, int value, std::size_t bytes, cudaStream_t stream) {
  queue(stream, [=] { std::memset(data, value, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemset(void* data, int value, std::size_t bytes) {
  return cudaMemsetAsync(data, value, bytes, nullptr);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const auto is_gpu = [](const void* data) { return Arena::instance().owner(data) >= 0; };
  const bool from_gpu = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  const bool to_gpu = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  if (bytes > 0 && kind != cudaMemcpyDefault && (is_gpu(from) != from_gpu || is_gpu(to) != to_gpu))
    return failed(cudaErrorInvalidValue);
  // From pageable memory the bytes are staged at once; those for it are there when this returns.
  if (bytes > 0 && !is_gpu(from) && !is_pinned(from) && is_gpu(to) && !is_captured(stream)) {
    ++counters().copies_from_pageable;
    const auto* first = static_cast<const std::byte*>(from);
    queue(stream, [to, staged = std::vector(first, first + bytes)] {
      std::memcpy(to, staged.data(), staged.size());
    });
    return cudaSuccess;
  }
  queue(stream, [=] { std::memmove(to, from, bytes); });
  if (is_gpu(from) && !is_gpu(to) && !is_pinned(to)) finish(stream);
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  if (const auto status = cudaStreamSynchronize(nullptr); status != cudaSuccess) return status;
  return cudaMemcpyAsync(to, from, bytes, kind, nullptr);
}
cudaError_t cudaMemcpyPeerAsync(void* to, int, const void* from, int, std::size_t bytes,
                                cudaStream_t stream) {
  return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream);
}
cudaError_t cudaMemcpyPeer(void* to, int, const void* from, int, std::size_t bytes) {
  return cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToDevice);
}

cudaError_t cudaHostRegister(void* data, std::size_t bytes, unsigned) {
  const std::scoped_lock lock(Arena::instance().mutex);
  const auto* first = static_cast<std::byte*>(data);
  return pinned().emplace(first, first + bytes).second ? cudaSuccess
                                                       : failed(cudaErrorHostMemoryAlreadyRegistered);
}
cudaError_t cudaHostUnregister(void* data) {
  const std::scoped_lock lock(Arena::instance().mutex);
  return pinned().erase(static_cast<std::byte*>(data)) == 1 ? cudaSuccess : failed(cudaErrorInvalidValue);
}
cudaError_t cudaHostAlloc(void** data, std::size_t bytes, unsigned) {
  *data = ::operator new (bytes, std::align_val_t{64});
  return cudaHostRegister(*data, bytes, 0);
}
cudaError_t cudaFreeHost(void* data) {
  const auto status = cudaHostUnregister(data);
  if (status == cudaSuccess) ::operator delete (data, std::align_val_t{64});
  return status;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* data) {
  const int gpu = Arena::instance().owner(data);
  void* there = const_cast<void*>(data);
  *attributes = gpu >= 0          ? cudaPointerAttributes{cudaMemoryTypeDevice, gpu, there, nullptr}
                : is_pinned(data) ? cudaPointerAttributes{cudaMemoryTypeHost, current_gpu, there, there}
                                  : cudaPointerAttributes{cudaMemoryTypeUnregistered, -2, nullptr, there};
  return cudaSuccess;
}
