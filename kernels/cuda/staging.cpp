#include "kernels/cuda/staging.h"

#include <algorithm>
#include <map>

#include "kernels/cuda/check.h"
#include "kernels/cuda/stream.h"
#include "kernels/memory.h"

namespace tutti::kernels {
namespace {

void copy_on_host(void* to, const void* from, std::size_t bytes) {
  CopyBytes::cpu(to, Device::cpu(), from, Device::cpu(), bytes, CopyMode::ordered);
}

}  // namespace

StagingRing& StagingRing::current() {
  static auto& rings = *new std::map<int, StagingRing>;
  static auto& mutex = *new std::mutex;
  const int gpu = current_gpu();
  const std::lock_guard lock(mutex);
  return rings[gpu];
}

// With the lock, as the next.
bool StagingRing::ready() {
  if (!tried_) {
    tried_ = true;
    for (Piece& piece : pieces_) {
      if (cudaHostAlloc(&piece.data, piece_bytes, cudaHostAllocPortable) != cudaSuccess) {
        cudaGetLastError();
        piece.data = nullptr;
        break;
      }
      check(cudaEventCreateWithFlags(&piece.done, cudaEventDisableTiming), CopyBytes::name);
    }
  }
  return pieces_.back().done != nullptr;
}

void StagingRing::wait_for(const Piece& piece) {
  const cudaError_t status = cudaEventQuery(piece.done);
  if (status == cudaSuccess) return;
  if (status != cudaErrorNotReady) check(status, CopyBytes::name);
  cudaGetLastError();
  check(cudaEventSynchronize(piece.done), CopyBytes::name);
}

bool StagingRing::to_gpu(void* to, const void* from, std::size_t bytes, cudaStream_t stream) {
  const std::lock_guard lock(mutex_);
  if (!ready()) return false;
  for (std::size_t at = 0; at < bytes; at += piece_bytes) {
    const std::size_t count = std::min(piece_bytes, bytes - at);
    const Piece& piece = pieces_[next_++ % pieces_.size()];
    wait_for(piece);
    copy_on_host(piece.data, static_cast<const std::byte*>(from) + at, count);
    check(
        cudaMemcpyAsync(static_cast<std::byte*>(to) + at, piece.data, count, cudaMemcpyHostToDevice, stream),
        CopyBytes::name);
    check(cudaEventRecord(piece.done, stream), CopyBytes::name);
  }
  return true;
}

bool StagingRing::to_host(void* to, const void* from, std::size_t bytes, cudaStream_t stream) {
  const std::lock_guard lock(mutex_);
  if (!ready()) return false;
  const std::size_t pieces = (bytes + piece_bytes - 1) / piece_bytes;
  const std::size_t first = next_;
  const auto count = [&](std::size_t i) { return std::min(piece_bytes, bytes - i * piece_bytes); };
  const auto fetch = [&](std::size_t i) {
    const Piece& piece = pieces_[(first + i) % pieces_.size()];
    wait_for(piece);
    check(cudaMemcpyAsync(piece.data, static_cast<const std::byte*>(from) + i * piece_bytes, count(i),
                          cudaMemcpyDeviceToHost, stream),
          CopyBytes::name);
    check(cudaEventRecord(piece.done, stream), CopyBytes::name);
  };
  next_ += pieces;
  for (std::size_t i = 0; i < std::min(pieces, pieces_.size()); ++i) fetch(i);
  for (std::size_t i = 0; i < pieces; ++i) {
    const Piece& piece = pieces_[(first + i) % pieces_.size()];
    wait_for(piece);
    copy_on_host(static_cast<std::byte*>(to) + i * piece_bytes, piece.data, count(i));
    if (i + pieces_.size() < pieces) fetch(i + pieces_.size());
  }
  return true;
}

}  // namespace tutti::kernels
