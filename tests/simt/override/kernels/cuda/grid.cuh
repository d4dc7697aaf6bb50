// Stands in for kernels/cuda/grid.cuh on a simulated GPU.
#pragma once

#include <bit>
#include <cstdint>
#include <tuple>
#include <utility>

#include "kernels/cuda/check.h"
#include "kernels/cuda/stream.h"
#include "tests/simt/language.h"
#include "tests/simt/runtime.h"

namespace tutti::kernels {

struct Grid {
  dim3 blocks, threads;
  std::size_t shared = 0;
  cudaStream_t stream = current_stream();
};

template <typename... P, typename... A>
void run(const char* name, void (*kernel)(P...), const Grid& grid, A&&... args) {
  simt::queue(grid.stream,
              [kernel, grid, values = std::tuple<P...>(static_cast<P>(std::forward<A>(args))...)] {
                simt::run(grid.blocks, grid.threads, grid.shared, [&] { std::apply(kernel, values); });
              });
  launched(name, grid.stream);
}

template <typename T>
T& shared() {
  static const char key = 0;
  return *static_cast<T*>(simt::static_shared(&key, sizeof(T)));
}

template <typename T>
T* dynamic_shared() {
  return static_cast<T*>(simt::dynamic_shared());
}

inline void expect_aligned(const void* address, std::size_t bytes) {
  if (std::bit_cast<std::uintptr_t>(address) % bytes != 0) simt::fail("a misaligned pack");
}

}  // namespace tutti::kernels
