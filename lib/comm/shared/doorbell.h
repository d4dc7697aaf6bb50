// Where a rank sleeps when what it waits for does not come soon.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace tutti::comm {

// One for each rank, in memory that its peers see. All bytes zero is its initial state, as of everything else
// that lies in a segment.
//
// A rank posts with a plain store and then looks whether anybody sleeps, without the fence that the two would
// need: it costs as much as a small collective. A sleeper that was missed so wakes by itself, for its first sleep is
// a short one, and by then the poster's store has long been seen.
class Doorbell {
 public:
  // After a post: wakes the owner if it sleeps.
  void ring() {
    if (sleeping_.load(std::memory_order_relaxed) != 0) wake();
  }
  void wake();

  // Sleeps until it rings, `ready()` at the latest when it returns true before, or for `time`, or for less.
  template <typename Ready>
  void sleep(std::chrono::microseconds time, const Ready& ready) {
    sleeping_.store(1, std::memory_order_seq_cst);
    const std::uint32_t seen = rings_.load(std::memory_order_seq_cst);
    if (!ready()) wait(seen, time);
    sleeping_.store(0, std::memory_order_relaxed);
  }

 private:
  void wait(std::uint32_t seen, std::chrono::microseconds time) const;

  std::atomic<std::uint32_t> rings_;
  std::atomic<std::uint32_t> sleeping_;
};

static_assert(std::atomic<std::uint32_t>::is_always_lock_free && sizeof(Doorbell) == 8);

}  // namespace tutti::comm
