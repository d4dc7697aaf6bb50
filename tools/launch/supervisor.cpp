#include "launch/supervisor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace tutti::launch {
namespace {

sigset_t heard() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGTSTP, SIGCONT})
    sigaddset(&set, signal);
  return set;
}

int exit_code(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

}  // namespace

Signals::Signals() {
  const sigset_t set = heard();
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signal(SIGCHLD, SIG_DFL);  // one that was started with it ignored would hear of no end
  signal(SIGPIPE, SIG_IGN);
  fd_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

Signals::~Signals() {
  close(fd_);
  const sigset_t set = heard();
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

Supervisor::~Supervisor() {
  for (const auto& stream : streams_) close(stream.fd);
}

void Supervisor::add_stream(int fd, LineWriter writer) {
  fcntl(fd, F_SETFL, O_NONBLOCK);
  streams_.push_back({fd, std::move(writer)});
}

int Supervisor::run() {
  while (running() > 0) {
    std::vector<pollfd> polled{{signals_.fd(), POLLIN, 0}};
    for (const auto& stream : streams_) polled.push_back({stream.fd, POLLIN, 0});
    poll(polled.data(), polled.size(), milliseconds_to_kill());
    read_streams(false);
    hear();
    if (kill_at_ && Clock::now() >= *kill_at_) {
      signal_all(SIGKILL);
      kill_at_.reset();
    }
  }
  if (code_) {
    // What the ranks themselves started goes with them.
    for (const auto& rank : ranks_) {
      if (rank.own_group) kill(-rank.pid, SIGKILL);
    }
  }
  read_streams(true);
  return code_.value_or(0);
}

void Supervisor::end_all() {
  signal_all(SIGTERM);
  signal_all(SIGCONT);
  kill_at_ = Clock::now() + options_.grace;
}

void Supervisor::hear() {
  signalfd_siginfo info;
  bool child = false;
  while (read(signals_.fd(), &info, sizeof info) == sizeof info) {
    const int signal = static_cast<int>(info.ssi_signo);
    child |= signal == SIGCHLD;
    if (signal == SIGCHLD) continue;
    signal_all(signal, info.ssi_code == SI_KERNEL);
    if (signal == SIGTSTP) raise(SIGSTOP);
  }
  if (child) reap();
}

void Supervisor::reap() {
  // Of ranks that ended since the last look, a killed one comes first: the others most likely failed for its
  // sake.
  std::vector<std::pair<std::size_t, int>> ended;
  // Again until none has: one that a killed rank made fail may end while this goes on, past the killed one.
  for (bool more = true; more;) {
    more = false;
    for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
      int status = 0;
      if (!ranks_[rank].running || waitpid(ranks_[rank].pid, &status, WNOHANG) != ranks_[rank].pid) continue;
      ranks_[rank].running = false;
      more = true;
      if (status != 0) ended.emplace_back(rank, status);
    }
  }
  std::stable_sort(ended.begin(), ended.end(), [](const auto& a, const auto& b) {
    return WIFSIGNALED(a.second) > WIFSIGNALED(b.second);
  });
  if (!ended.empty() && !code_) failed(ended.front().first, ended.front().second);
}

void Supervisor::failed(std::size_t rank, int status) {
  code_ = exit_code(status);
  const auto how = WIFSIGNALED(status) ? fmt::format("was killed by signal {} ({})", WTERMSIG(status),
                                                     strsignal(WTERMSIG(status)))
                                       : fmt::format("exited with code {}", WEXITSTATUS(status));
  const auto then = running() > 0 ? "; ending the others" : "";
  read_streams(false);
  write_all(STDERR_FILENO, fmt::format("{}: rank {} {}{}\n", options_.name, rank, how, then));
  end_all();
}

void Supervisor::signal_all(int signal, bool from_terminal) {
  for (const auto& rank : ranks_) {
    if (!rank.running) continue;
    // The terminal has told its foreground group, which a rank without its own group is in, already.
    if (from_terminal && !rank.own_group) continue;
    kill(rank.own_group ? -rank.pid : rank.pid, signal);
  }
}

void Supervisor::read_streams(bool last) {
  std::erase_if(streams_, [last](Stream& stream) {
    char bytes[65536];
    ssize_t got = -1;
    // What a pipe holds and no more: a rank that never stops writing must not keep signals and others
    // waiting.
    for (ssize_t left = fcntl(stream.fd, F_GETPIPE_SZ); left > 0; left -= got) {
      got = read(stream.fd, bytes, sizeof bytes);
      if (got <= 0) break;
      stream.writer.add({bytes, static_cast<std::size_t>(got)});
    }
    if (got != 0 && !last) return false;
    stream.writer.finish();
    close(stream.fd);
    return true;
  });
}

int Supervisor::running() const {
  return static_cast<int>(
      std::count_if(ranks_.begin(), ranks_.end(), [](const Rank& rank) { return rank.running; }));
}

int Supervisor::milliseconds_to_kill() const {
  if (!kill_at_) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*kill_at_ - Clock::now());
  return static_cast<int>(std::max<std::int64_t>(0, left.count()));
}

}  // namespace tutti::launch
