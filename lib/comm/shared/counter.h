// A number that only grows, in memory that several threads or processes see. One rank advances it, others
// wait.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace tutti::comm {

// All bytes zero is its initial state, as of everything else that lies in a segment.
class SharedCounter {
 public:
  std::uint32_t value() const { return value_.load(std::memory_order_acquire); }

  // The number may wrap: ranks are never 2^31 apart.
  bool reached(std::uint32_t target) const { return static_cast<std::int32_t>(value() - target) >= 0; }

  // What was written before is seen by whoever finds the target reached.
  void advance_to(std::uint32_t value);

  // Waits as long as a sleep would cost, without one. Returns whether the target was reached.
  bool spin(std::uint32_t target) const;

  // Sleeps until the counter is no longer `seen`, or for `time`, or for less.
  void sleep(std::uint32_t seen, std::chrono::milliseconds time) const;

  void wake() const;

 private:
  std::atomic<std::uint32_t> value_;
  mutable std::atomic<std::uint32_t> sleepers_;
};

static_assert(std::atomic<std::uint32_t>::is_always_lock_free && sizeof(SharedCounter) == 8);

}  // namespace tutti::comm
