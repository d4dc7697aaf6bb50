// Standing by while the ranks run.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "launch/launch.h"
#include "launch/line_writer.h"

namespace tutti::launch {

// The signals that a supervisor hears; blocked from its making to its end.
class Signals {
 public:
  Signals();
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

class Supervisor {
 public:
  explicit Supervisor(const Options& options) : options_(options) {}
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;
  ~Supervisor();

  void add_rank(pid_t pid, bool own_group) { ranks_.push_back({pid, own_group}); }
  // Lines from the reading end of a pipe, which is the supervisor's from now on.
  void add_stream(int fd, LineWriter writer);

  // Until every rank has ended; returns the first failure's exit code.
  int run();
  // Ends what has been started: SIGTERM, and SIGKILL after the grace time.
  void end_all();

 private:
  struct Rank {
    pid_t pid;
    bool own_group;
    bool running = true;
  };
  struct Stream {
    int fd;
    LineWriter writer;
  };
  using Clock = std::chrono::steady_clock;

  void hear();
  void reap();
  void failed(std::size_t rank, int status);
  void signal_all(int signal, bool from_terminal = false);
  void read_streams(bool last);
  int running() const;
  int milliseconds_to_kill() const;

  const Options& options_;
  Signals signals_;
  std::vector<Rank> ranks_;
  std::vector<Stream> streams_;
  std::optional<int> code_;  // of the first failure
  std::optional<Clock::time_point> kill_at_;
};

}  // namespace tutti::launch
