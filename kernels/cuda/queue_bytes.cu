#include <algorithm>
#include <cstdint>
#include <cstring>

#include "kernels/cuda/graph.h"
#include "kernels/cuda/grid.cuh"

namespace tutti::kernels {
namespace {

template <unsigned n>
struct Bytes {
  std::uint8_t at[n];
};

template <unsigned n>
__global__ void queue_bytes_kernel(std::uint8_t* to, const __grid_constant__ Bytes<n> bytes, unsigned count) {
  for (unsigned i = threadIdx.x; i < count; i += blockDim.x) to[i] = bytes.at[i];
}

template <unsigned n>
void queue_piece(const char* name, std::uint8_t* to, const void* from, std::size_t count,
                 cudaStream_t stream) {
  Bytes<n> bytes{};
  std::memcpy(bytes.at, from, count);
  run(name, queue_bytes_kernel<n>, {1, std::min(n, 256u), 0, stream}, to, bytes,
      static_cast<unsigned>(count));
}

}  // namespace

void queue_bytes(const char* name, void* to, const void* from, std::size_t bytes, cudaStream_t stream) {
  constexpr unsigned small = 128, most = 3840;  // 4 KB of arguments are allowed
  for (std::size_t at = 0; at < bytes; at += most) {
    const std::size_t count = std::min<std::size_t>(most, bytes - at);
    auto* const there = static_cast<std::uint8_t*>(to) + at;
    const auto* const here = static_cast<const std::byte*>(from) + at;
    count <= small ? queue_piece<small>(name, there, here, count, stream)
                   : queue_piece<most>(name, there, here, count, stream);
  }
}

void queue_bytes(const char* name, void* to, const void* from, std::size_t bytes) {
  queue_bytes(name, to, from, bytes, current_stream());
}

}  // namespace tutti::kernels
