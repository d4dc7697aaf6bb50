// Bytes, and which of them a rank works on.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "comm/shared/layout.h"

namespace tutti::comm {

inline void transfer(std::byte* to, const std::byte* from, std::size_t bytes) {
  if (bytes != 0 && to != from) std::memcpy(to, from, bytes);
}

inline const std::byte* bytes_of(const void* data) { return static_cast<const std::byte*>(data); }
inline std::byte* bytes_of(void* data) { return static_cast<std::byte*>(data); }

// Rank `rank`'s share of `count` elements; shares begin at multiples of a cache line.
struct Slice {
  std::size_t first;
  std::size_t count;

  Slice(std::size_t total, std::size_t element, int rank, int size) {
    const std::size_t line = cache_line / element;
    const auto ranks = static_cast<std::size_t>(size);
    const std::size_t lines = (total + line - 1) / line;
    const std::size_t share = (lines + ranks - 1) / ranks * line;
    first = std::min(total, share * static_cast<std::size_t>(rank));
    count = std::min(share, total - first);
  }
};

}  // namespace tutti::comm
