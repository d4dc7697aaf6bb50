// Memory of the CPU that was given back, kept for those who ask for as much: a fresh page costs more to touch for the first time
// than most operations do with it, and malloc hands large blocks back to the system at once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace tutti::memory {

// Blocks come in sizes, of which eight lie between a power of two and the next; a block serves only those of its own size.
class BlockCache {
 public:
  // The one of the process. It is never destroyed: tensors may outlive it.
  static BlockCache& instance() { return instance_; }

  // At least `bytes` bytes, aligned to 64; null where there are no more.
  void* take(std::size_t bytes) noexcept;
  // What `take` returned for as many bytes.
  void give(void* block, std::size_t bytes) noexcept;
  // Frees all that is kept.
  void empty() noexcept;

  struct Counts {
    std::size_t cached = 0;  // bytes
    std::uint64_t fresh = 0, reused = 0;
  };
  Counts counts();
  // The most that may be kept follows the most that was in use, which is counted anew.
  void reset_peak();

  // What a block for `bytes` bytes has; 0 where there are none of that size.
  static std::size_t size_of_block(std::size_t bytes);

 private:
  struct Kept {
    Kept* next;
    std::size_t bytes;
  };
  static constexpr std::size_t sizes = 8 * 64;

  constexpr BlockCache() = default;
  // With the lock, as the next.
  void count_taken(std::size_t bytes) noexcept;
  // Frees the largest ones until no more than `most` bytes are kept.
  void shrink(std::size_t most) noexcept;

  static BlockCache instance_;
  static const bool held_while_forking_;

  std::mutex mutex_;
  std::array<Kept*, sizes> kept_{};
  std::size_t in_use_ = 0, peak_ = 0;
  Counts counts_;
};

}  // namespace tutti::memory
