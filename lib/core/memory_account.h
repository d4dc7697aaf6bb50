// What tensors tell of their memory.
#pragma once

#include <cstddef>

#include "tutti/core/memory.h"

namespace tutti::memory {

void add(Device device, Category category, std::size_t bytes) noexcept;
void remove(Device device, Category category, std::size_t bytes) noexcept;

// The cache of GPUs' memory stands a floor higher: it tells of itself here before its first block.
struct GpuCache {
  void (*count)(int gpu, Statistics& statistics);
  void (*empty)();
};
void set_gpu_cache(GpuCache cache) noexcept;

}  // namespace tutti::memory
