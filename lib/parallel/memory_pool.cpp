#include "parallel/memory_pool.h"

#include <numeric>

namespace tutti::parallel {

std::shared_ptr<void> MemoryPool::take(std::size_t bytes, Device device) {
  Piece* best = nullptr;
  for (auto& piece : pieces_) {
    const bool free = piece.memory.use_count() == 1;
    const bool fits = piece.bytes >= bytes && piece.device == device;
    if (free && fits && (!best || piece.bytes < best->bytes)) best = &piece;
  }
  if (!best) best = &pieces_.emplace_back(Piece{comm_.allocate(bytes, device), bytes, device});
  return best->memory;
}

void MemoryPool::shrink(std::size_t pieces) {
  for (std::size_t i = pieces_.size(); i-- > pieces;) {
    if (pieces_[i].memory.use_count() == 1) pieces_.erase(pieces_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

std::size_t MemoryPool::bytes() const {
  return std::accumulate(pieces_.begin(), pieces_.end(), std::size_t{0},
                         [](std::size_t sum, const Piece& piece) { return sum + piece.bytes; });
}

}  // namespace tutti::parallel
