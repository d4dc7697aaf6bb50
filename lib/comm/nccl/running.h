// A collective under way, and the pauses between looks at it.
#pragma once

#include <chrono>
#include <thread>

#include "comm/deadline.h"
#include "tutti/comm/backend.h"

namespace tutti::comm {

struct NcclCall {
  explicit NcclCall(const Backend::Call& described)
      : call(described), deadline(deadline_after(described.timeout)) {}

  bool late() const { return std::chrono::steady_clock::now() >= deadline; }

  Backend::Call call;
  std::chrono::steady_clock::time_point deadline;
};

// Short ones at first, for collectives of microseconds.
class Pauses {
 public:
  void pause() {
    if (++count_ < 1000) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }

 private:
  int count_ = 0;
};

}  // namespace tutti::comm
