// When a wait is over.
#pragma once

#include <algorithm>
#include <chrono>

namespace tutti::comm {

// The end of a wait of `timeout` that begins now. milliseconds::max(), for ever, is more than the clock
// counts.
inline std::chrono::steady_clock::time_point deadline_after(std::chrono::milliseconds timeout) {
  using std::chrono::milliseconds;
  using Clock = std::chrono::steady_clock;
  const auto now = Clock::now();
  const auto longest = std::chrono::floor<milliseconds>(Clock::time_point::max() - now);
  return now + std::clamp(timeout, milliseconds(0), longest);
}

}  // namespace tutti::comm
