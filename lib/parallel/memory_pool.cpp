#include "parallel/memory_pool.h"

#include <numeric>

namespace tutti::parallel {

std::shared_ptr<void> MemoryPool::take(std::size_t bytes) {
  Piece* best = nullptr;
  for (auto& piece : pieces_) {
    const bool free = piece.memory.use_count() == 1, fits = piece.bytes >= bytes;
    if (free && fits && (!best || piece.bytes < best->bytes)) best = &piece;
  }
  if (!best) best = &pieces_.emplace_back(comm_.allocate(bytes), bytes);
  return best->memory;
}

std::size_t MemoryPool::bytes() const {
  return std::accumulate(pieces_.begin(), pieces_.end(), std::size_t{0},
                         [](std::size_t sum, const Piece& piece) { return sum + piece.bytes; });
}

}  // namespace tutti::parallel
