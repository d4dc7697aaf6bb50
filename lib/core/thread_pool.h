// The threads of the process that help the one that calls an operation.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace tutti::threads {

// What the pieces of a loop are, see parallel_for.h.
struct Loop {
  std::int64_t count;
  void (*piece)(void*, std::int64_t);
  void* context;
};

// One loop at a time. A helper that wakes late finds the loop closed and is not waited for: a thread that has lost its
// core delays nobody while others do its work.
class Pool {
 public:
  static Pool& instance();

  // By up to `threads` threads, the caller among them. False, and nothing is done, where another loop has the pool.
  bool run(int threads, const Loop& loop);

 private:
  // Pieces that a thread takes first; the others take what it has left. Neighbours so stay together, in the caches
  // and the memory of one core.
  struct alignas(64) Share {
    std::atomic<std::int64_t> next;
    std::int64_t end;
  };

  Pool();
  void resize(std::size_t helpers);
  void help(std::size_t index, std::uint32_t seen);
  void work(std::size_t index);
  bool enter();
  void leave();
  void close();

  std::mutex busy_;
  std::vector<std::thread> helpers_;
  std::size_t asked_ = 0;  // of them: the system may have given fewer
  std::unique_ptr<Share[]> shares_;
  Loop loop_{};
  std::size_t workers_ = 0;
  std::exception_ptr error_;
  std::atomic<bool> failed_ = false;

  std::atomic<std::uint32_t> number_ = 0;  // of the newest loop
  std::atomic<std::uint32_t> inside_;      // helpers in the loop, and whether it is closed
  std::atomic<bool> ending_ = false;       // the helpers are to end
};

}  // namespace tutti::threads
