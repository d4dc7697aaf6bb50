// The collective under way: its name, and when it must be done.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "comm/deadline.h"
#include "tutti/comm/backend.h"

namespace tutti::comm {

struct Running {
  explicit Running(const Backend::Call& call)
      : name(call.name),
        sequence(call.sequence),
        timeout(call.timeout),
        deadline(deadline_after(call.timeout)) {}

  // The same with a later deadline, for a wait for ranks that may themselves be waiting for others: they are to
  // fail first, for they know better who is late.
  Running patient() const {
    using std::chrono::milliseconds;
    constexpr auto longest = std::chrono::steady_clock::time_point::max();
    // Enough for a rank that has to wait for a core.
    const auto grace = std::clamp(timeout / 4, milliseconds(100), milliseconds(1000));
    Running later = *this;
    later.deadline = deadline > longest - grace ? longest : deadline + grace;
    return later;
  }

  // At least a moment.
  std::chrono::milliseconds left() const {
    const auto left = deadline - std::chrono::steady_clock::now();
    return std::max(std::chrono::ceil<std::chrono::milliseconds>(left), std::chrono::milliseconds(1));
  }

  const char* name;
  std::uint64_t sequence;
  std::chrono::milliseconds timeout;
  std::chrono::steady_clock::time_point deadline;
};

}  // namespace tutti::comm
