// The thread that runs what was started and not waited for.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "tutti/comm/backend.h"

namespace tutti::comm {

class Progress {
 public:
  Progress() = default;
  // Runs what is queued, first.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Queues `task`. What it throws, `Work::wait` throws.
  Work add(const Backend::Call& call, std::function<void()> task);

  // Waits until nothing is queued or running.
  void drain() {
    if (unfinished_.load(std::memory_order_acquire) != 0) drain_slowly();
  }

 private:
  struct Task;
  class Pending;

  void drain_slowly();
  void run();

  std::mutex mutex_;
  std::condition_variable queued_;
  std::condition_variable finished_;
  std::deque<std::shared_ptr<Task>> tasks_;
  std::atomic<std::size_t> unfinished_ = 0;
  bool ending_ = false;
  std::thread thread_{[this] { run(); }};
};

}  // namespace tutti::comm
