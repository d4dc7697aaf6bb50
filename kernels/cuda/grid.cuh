// Launching a kernel, and the shared memory of its blocks. Kernels say neither <<<>>> nor __shared__ themselves, so that
// they also compile for the simulated GPU of tests/simt, which puts its own file in the place of this one.
#pragma once

#include <cstddef>
#include <utility>

#include "kernels/cuda/check.h"
#include "kernels/cuda/stream.h"

namespace tutti::kernels {

struct Grid {
  dim3 blocks, threads;
  std::size_t shared = 0;  // bytes of dynamic_shared(); beyond 48 KiB allow_shared() comes first
  cudaStream_t stream = current_stream();
};

// Queues kernel(args...) on the grid's stream. `name` is the operation that errors are said to be of.
template <typename... P, typename... A>
void run(const char* name, void (*kernel)(P...), const Grid& grid, A&&... args) {
  kernel<<<grid.blocks, grid.threads, grid.shared, grid.stream>>>(std::forward<A>(args)...);
  launched(name, grid.stream);
}

// One T of the block, uninitialised; the same one wherever a kernel asks for it. T is trivial.
template <typename T>
__device__ T& shared() {
  __shared__ T memory;
  return memory;
}

template <typename T>
__device__ T* dynamic_shared() {
  extern __shared__ __align__(128) unsigned char memory[];
  return reinterpret_cast<T*>(memory);
}

// A GPU traps by itself.
__device__ inline void expect_aligned(const void*, std::size_t) {}

}  // namespace tutti::kernels
