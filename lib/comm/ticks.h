// The processor's own clock: a reading costs a third of one of the system's.
#pragma once

#include <chrono>
#include <cstdint>

namespace tutti::comm {

using Ticks = std::uint64_t;

inline Ticks ticks() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  Ticks now;
  asm volatile("mrs %0, cntvct_el0" : "=r"(now));
  return now;
#else
  return static_cast<Ticks>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

// Tells when a tick was, from two readings of both clocks: one when it is made, one when it is asked.
class TickClock {
 public:
  TickClock() : ticks_(ticks()), time_(std::chrono::system_clock::now()) {}

  std::chrono::system_clock::time_point time_of(Ticks then) const {
    const Ticks now = ticks();
    const auto elapsed = std::chrono::system_clock::now() - time_;
    if (now <= ticks_) return time_;
    const double part = static_cast<double>(then - ticks_) / static_cast<double>(now - ticks_);
    return time_ + std::chrono::duration_cast<std::chrono::system_clock::duration>(elapsed * part);
  }

 private:
  Ticks ticks_;
  std::chrono::system_clock::time_point time_;
};

}  // namespace tutti::comm
