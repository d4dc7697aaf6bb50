#include "comm/shm/arena.h"

#include <algorithm>
#include <iterator>

namespace tutti::comm {

std::size_t Arena::rounded(std::size_t bytes) {
  constexpr std::size_t page = 4096;
  return std::max<std::size_t>(1, bytes / page + (bytes % page != 0)) * page;
}

std::optional<std::size_t> Arena::take(std::size_t bytes) {
  std::scoped_lock lock(mutex_);
  const auto range =
      std::find_if(free_.begin(), free_.end(), [&](const auto& r) { return r.second >= bytes; });
  if (range == free_.end()) return std::nullopt;
  const auto [offset, length] = *range;
  free_.erase(range);
  if (length > bytes) free_.emplace(offset + bytes, length - bytes);
  return offset;
}

void Arena::give_back(std::size_t offset, std::size_t bytes) {
  std::scoped_lock lock(mutex_);
  auto range = free_.emplace(offset, bytes).first;
  if (const auto next = std::next(range); next != free_.end() && offset + bytes == next->first) {
    range->second += next->second;
    free_.erase(next);
  }
  if (range == free_.begin()) return;
  if (const auto before = std::prev(range); before->first + before->second == offset) {
    before->second += range->second;
    free_.erase(range);
  }
}

}  // namespace tutti::comm
