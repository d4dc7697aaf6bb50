// How a run is going: a bar on a terminal, plain lines elsewhere.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

class Progress {
 public:
  // Tells of steps from `first` up to `steps`, each of `tokens` tokens; says nothing unless `speaks`.
  Progress(std::int64_t first, std::int64_t steps, std::int64_t tokens, bool speaks)
      : first_(first), steps_(steps), tokens_(tokens), speaks_(speaks), bar_(isatty(STDOUT_FILENO) == 1) {}

  void show(std::int64_t done, double loss) {
    const auto now = Clock::now();
    const bool due = now - shown_ > std::chrono::milliseconds(bar_ ? 100 : 5000) || done == steps_;
    if (!speaks_ || !due) return;
    shown_ = now;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const double rate = static_cast<double>(done - first_) / seconds;
    const auto left = static_cast<std::int64_t>(static_cast<double>(steps_ - done) / rate);
    const std::string text = fmt::format("step {:>{}}/{}  loss {:.4f}  {:.0f} tokens/s  {}:{:02} left", done,
                                         std::to_string(steps_).size(), steps_, loss,
                                         rate * static_cast<double>(tokens_), left / 60, left % 60);
    if (bar_) {
      constexpr std::int64_t width = 24;
      const std::int64_t full = done * width / steps_;
      fmt::print("\r[{:#<{}}{:.<{}}] {}{}", "", full, "", width - full, text,
                 done == steps_ ? "\n" : "\033[K");
    } else {
      fmt::print("{}\n", text);
    }
    std::fflush(stdout);
  }

 private:
  using Clock = std::chrono::steady_clock;

  std::int64_t first_, steps_, tokens_;
  bool speaks_, bar_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point shown_{};
};
