// What tensors tell of their memory.
#pragma once

#include <cstddef>

#include "tutti/core/memory.h"

namespace tutti::memory {

void add(Device device, Category category, std::size_t bytes) noexcept;
void remove(Device device, Category category, std::size_t bytes) noexcept;

}  // namespace tutti::memory
