#include "comm/shared/layout.h"

#include <algorithm>

namespace tutti::comm {
namespace {

constexpr std::size_t page = 4096;

constexpr std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

// What each of `parts` equal parts of `budget` may have, in cache lines.
constexpr std::size_t share(std::size_t budget, std::size_t parts, std::size_t most) {
  return std::clamp(budget / parts / cache_line * cache_line, cache_line, most);
}

constexpr std::size_t parcel_budget = 16 << 20;
constexpr std::size_t small_budget = 4 << 20;
constexpr std::size_t block_budget = 64 << 20;
// A piece must be long enough for its meeting not to count, and the blocks of two ranks must stay in a second-level
// cache.
constexpr std::size_t most_block_bytes = 128 << 10;

}  // namespace

Layout::Layout(int size) : size_(size) {
  const auto ranks = static_cast<std::size_t>(size);
  const std::size_t pairs = ranks * ranks;
  parcel_bytes_ = share(parcel_budget, pairs * Mailbox::parcels, 16 * page);
  small_bytes_ = share(small_budget, pairs, small_pair_bytes);
  block_bytes_ = share(block_budget, pairs * block_slots, most_block_bytes);
  slots_ = round_up(sizeof(Header), cache_line);
  mailboxes_ = slots_ + ranks * sizeof(Slot);
  lines_ = round_up(mailboxes_ + pairs * sizeof(Mailbox), page);
  parcels_ = round_up(lines_ + pairs * (sizeof(Line) + small_bytes_), page);
  blocks_ = round_up(parcels_ + pairs * Mailbox::parcels * parcel_bytes_, page);
  bytes_ = round_up(blocks_ + pairs * block_slots * block_bytes_, page);
}

}  // namespace tutti::comm
