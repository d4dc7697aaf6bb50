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

// Tells when a tick was, from two readings of both clocks: one when it is made, and one that is given. Times that are
// told by the same reading are in the order of their ticks.
class TickClock {
 public:
  struct Reading {
    Ticks ticks = comm::ticks();
    std::chrono::system_clock::time_point time = std::chrono::system_clock::now();
  };

  std::chrono::system_clock::time_point time_of(Ticks then, const Reading& now) const {
    if (now.ticks <= first_.ticks) return first_.time;
    const double part =
        static_cast<double>(then - first_.ticks) / static_cast<double>(now.ticks - first_.ticks);
    const auto elapsed = (now.time - first_.time) * part;
    return first_.time + std::chrono::duration_cast<std::chrono::system_clock::duration>(elapsed);
  }

 private:
  Reading first_;
};

}  // namespace tutti::comm
