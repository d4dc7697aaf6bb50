// How a run is going: a bar on a terminal, plain lines elsewhere.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

class Progress {
 public:
  // Tells of steps from `first` up to `steps`, each of `count` `things`; says nothing unless `speaks`.
  Progress(std::int64_t first, std::int64_t steps, std::int64_t count, std::string things, bool speaks)
      : first_(first),
        steps_(steps),
        count_(count),
        things_(std::move(things)),
        speaks_(speaks),
        bar_(isatty(STDOUT_FILENO) == 1) {}

  void show(std::int64_t done, double loss) {
    const auto now = Clock::now();
    const bool due = now - shown_ > std::chrono::milliseconds(bar_ ? 100 : 5000) || done == steps_;
    if (!speaks_ || !due) return;
    shown_ = now;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const double rate = static_cast<double>(done - first_) / seconds;
    const auto left = static_cast<std::int64_t>(static_cast<double>(steps_ - done) / rate);
    const std::string text = fmt::format("step {:>{}}/{}  loss {:.4f}  {:.0f} {}/s  {}:{:02} left", done,
                                         std::to_string(steps_).size(), steps_, loss,
                                         rate * static_cast<double>(count_), things_, left / 60, left % 60);
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

  std::int64_t first_, steps_, count_;
  std::string things_;
  bool speaks_, bar_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point shown_{};
};
