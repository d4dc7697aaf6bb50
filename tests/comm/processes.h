// Runs a function on ranks that are processes, so that they can be killed.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "tutti/comm/communicator.h"

namespace tutti::test {

// Forks `size` processes that join one job. Each runs `body` and reports the string that it returns, or what
// it threw as "CommError rank=2 ..." or "TimeoutError rank=2 ...". Every process is ended and waited for.
class Processes {
 public:
  using Body = std::function<std::string(Communicator&)>;

  explicit Processes(int size, Body body, std::chrono::milliseconds join_timeout = std::chrono::seconds(20));
  // The same with only some ranks arriving.
  Processes(int size, const std::vector<int>& ranks, Body body, std::chrono::milliseconds join_timeout);
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;
  ~Processes();

  pid_t pid(int rank) const { return children_[static_cast<std::size_t>(rank)].pid; }
  void signal(int rank, int number) const;

  // What `rank` reported; empty if it died. Waits up to `timeout`, then says "still running".
  std::string report(int rank, std::chrono::milliseconds timeout = std::chrono::seconds(60 * TEST_SLOWDOWN));
  std::vector<std::string> reports();

 private:
  struct Child {
    pid_t pid = -1;
    int pipe = -1;
    std::string text;
    bool ended = false;
  };

  void start(int rank, int size, const Body& body, std::chrono::milliseconds join_timeout);

  std::string job_;
  std::vector<Child> children_;
};

// Names in /dev/shm that belong to Tutti.
std::vector<std::string> left_in_shm();

}  // namespace tutti::test
