#include "core/block_cache.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <limits>
#include <new>
#include <type_traits>
#include <utility>

#include "core/fork.h"

namespace tutti::memory {
namespace {

constexpr std::size_t alignment = 64;
constexpr std::size_t huge_page = 2 << 20;

// Under the address sanitizer nothing is kept: it has to see each use of what was freed.
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
constexpr bool keeps = false;
#else
constexpr bool keeps = true;
#endif

struct SizeClass {
  std::size_t index, bytes;
};

// Up to 512 bytes, steps of 64; then an eighth of the power of two below.
SizeClass class_of(std::size_t bytes) {
  if (bytes <= 8 * alignment) {
    const auto step = std::max<std::size_t>((bytes + alignment - 1) / alignment, 1);
    return {step - 1, step * alignment};
  }
  const auto power = static_cast<std::size_t>(std::bit_width(bytes - 1)) - 1;  // 2^power < bytes
  const auto eighth = std::size_t{1} << (power - 3);
  const auto step = (bytes - 1) / eighth - 8;  // 0 to 7, above the power of two
  return {8 * (power - 8) + step, (step + 9) * eighth};
}

void* from_system(std::size_t size) {
  if (size < 2 * huge_page) return std::aligned_alloc(alignment, size);
  void* const block = std::aligned_alloc(huge_page, (size + huge_page - 1) / huge_page * huge_page);
  if (block) ::madvise(block, size, MADV_HUGEPAGE);  // a hint
  return block;
}

}  // namespace

constinit BlockCache BlockCache::instance_;
static_assert(std::is_trivially_destructible_v<BlockCache>);

const bool BlockCache::held_while_forking_ =
    hold_while_forking<[]() -> std::mutex& { return instance_.mutex_; }>();

std::size_t BlockCache::size_of_block(std::size_t bytes) {
  if (bytes > std::numeric_limits<std::ptrdiff_t>::max() / 2) return 0;
  return class_of(bytes).bytes;
}

void BlockCache::count_taken(std::size_t bytes) noexcept {
  in_use_ += bytes;
  peak_ = std::max(peak_, in_use_);
}

void* BlockCache::take(std::size_t bytes) noexcept {
  if (size_of_block(bytes) == 0) return nullptr;
  const auto [index, size] = class_of(bytes);
  {
    const std::lock_guard lock(mutex_);
    if (auto* const block = kept_[index]) {
      kept_[index] = block->next;
      counts_.cached -= size;
      ++counts_.reused;
      count_taken(size);
      return block;
    }
  }
  void* block = from_system(size);
  if (!block) {
    empty();
    block = from_system(size);
  }
  if (!block) return nullptr;
  const std::lock_guard lock(mutex_);
  ++counts_.fresh;
  count_taken(size);
  return block;
}

void BlockCache::give(void* block, std::size_t bytes) noexcept {
  const auto [index, size] = class_of(bytes);
  const std::lock_guard lock(mutex_);
  in_use_ -= size;
  if (!keeps) return std::free(block);
  kept_[index] = new (block) Kept{kept_[index], size};
  counts_.cached += size;
  // What is in use and what is kept together stay below one and a half times what was in use at most.
  const auto most = peak_ + peak_ / 2;
  if (in_use_ + counts_.cached > most) shrink(most - in_use_);
}

void BlockCache::shrink(std::size_t most) noexcept {
  for (auto index = sizes; index-- > 0 && counts_.cached > most;) {
    while (kept_[index] && counts_.cached > most) {
      counts_.cached -= kept_[index]->bytes;
      std::free(std::exchange(kept_[index], kept_[index]->next));
    }
  }
}

void BlockCache::empty() noexcept {
  const std::lock_guard lock(mutex_);
  shrink(0);
}

BlockCache::Counts BlockCache::counts() {
  const std::lock_guard lock(mutex_);
  return counts_;
}

void BlockCache::reset_peak() {
  const std::lock_guard lock(mutex_);
  peak_ = in_use_;
}

}  // namespace tutti::memory
