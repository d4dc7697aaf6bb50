// One save, from the copy of the state to the end.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <string>

#include "tutti/checkpoint/checkpointer.h"

namespace tutti::checkpoint {

// What the thread that saves and the holders of a Save share.
class Saving {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Saving(std::string path) : path_(std::move(path)) {}

  // Of the thread that saves.
  void staged(std::uint64_t bytes);
  void finish(std::exception_ptr failure);

  // Of the others.
  bool done() const;
  // Throws the failure, which counts as seen then.
  void wait();
  void wait_quietly() const;
  // The message of a failure that nobody has seen; "" where there is none. It counts as seen then.
  std::string take_failure();
  Save::Progress progress() const;
  const std::string& path() const { return path_; }

  std::atomic<std::uint64_t> written = 0;
  std::atomic<bool> stop = false;

 private:
  const std::string path_;  // for errors
  const Clock::time_point begin_ = Clock::now();
  mutable std::mutex mutex_;
  mutable std::condition_variable finished_;
  std::uint64_t bytes_ = 0;
  std::chrono::nanoseconds stall_{};
  std::chrono::nanoseconds elapsed_{};
  bool done_ = false;
  bool seen_ = false;
  std::exception_ptr failure_;
};

}  // namespace tutti::checkpoint
