#include "ckpt/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <iterator>
#include <utility>

#include "ckpt/text.h"

namespace tutti::ckpt {
namespace {

constexpr int signals[] = {SIGINT, SIGTERM, SIGHUP};

volatile std::sig_atomic_t caught = 0;
struct sigaction before[std::size(signals)];

extern "C" void remember(int signal) { caught = signal; }

}  // namespace

Progress::Progress(std::string what, std::uint64_t total)
    : what_(std::move(what)), total_(total), terminal_(::isatty(STDERR_FILENO) == 1) {
  struct sigaction action {};
  action.sa_handler = remember;
  action.sa_flags = SA_RESTART;
  for (std::size_t i = 0; i < std::size(signals); ++i) {
    ::sigaction(signals[i], nullptr, &before[i]);
    if (before[i].sa_handler != SIG_IGN) ::sigaction(signals[i], &action, nullptr);  // nohup stays
  }
}

Progress::~Progress() {
  for (std::size_t i = 0; i < std::size(signals); ++i) ::sigaction(signals[i], &before[i], nullptr);
  if (on_screen_) std::fputs("\r\033[K", stderr);
}

std::function<void(std::uint64_t)> Progress::report() {
  return [this](std::uint64_t bytes) { add(bytes); };
}

void Progress::add(std::uint64_t bytes) {
  if (const int signal = caught) throw Interrupted(signal);
  done_ += bytes;
  if (!terminal_) return;
  const auto now = Clock::now();
  const std::lock_guard lock(mutex_);
  if (now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  draw(now);
}

void Progress::draw(Clock::time_point now) {
  const double seconds = std::chrono::duration<double>(now - begin_).count();
  const auto done = done_.load();
  const auto speed = seconds > 0.5 ? bytes_text(static_cast<double>(done) / seconds) + "/s" : "";
  const auto share =
      total_ > 0 ? fmt::format("{:3.0f}%", 100.0 * static_cast<double>(done) / static_cast<double>(total_))
                 : bytes_text(static_cast<double>(done));
  std::fputs(fmt::format("\r\033[K{} {} {}", what_, share, speed).c_str(), stderr);
  std::fflush(stderr);
  on_screen_ = true;
}

}  // namespace tutti::ckpt
