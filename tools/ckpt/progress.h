// How far it is, on a terminal, and an end when the user wants one.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>

namespace tutti::ckpt {

class Interrupted : public std::runtime_error {
 public:
  explicit Interrupted(int signal) : std::runtime_error("stopped by a signal"), signal_(signal) {}
  int signal() const { return signal_; }

 private:
  int signal_;
};

// While it lives, SIGINT, SIGTERM and SIGHUP make the next report throw, so that what was begun is cleaned up. One at a time.
class Progress {
 public:
  // `total` bytes are to be done; 0 where that is not known.
  Progress(std::string what, std::uint64_t total);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  // To be told of bytes done, by any thread. Throws Interrupted.
  std::function<void(std::uint64_t)> report();
  std::uint64_t done() const { return done_; }

 private:
  using Clock = std::chrono::steady_clock;

  void add(std::uint64_t bytes);
  void draw(Clock::time_point now);

  const std::string what_;
  const std::uint64_t total_;
  const bool terminal_;
  const Clock::time_point begin_ = Clock::now();
  std::atomic<std::uint64_t> done_ = 0;
  std::mutex mutex_;
  Clock::time_point drawn_{};
  bool on_screen_ = false;
};

}  // namespace tutti::ckpt
