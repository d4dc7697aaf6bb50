// Writes of one file by a thread, so that the next block is made while the last one goes to disk.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <span>
#include <string>
#include <thread>

namespace tutti::checkpoint {

class WriteBehind {
 public:
  // `written` counts bytes; where `stop` is set, the next write throws.
  WriteBehind(int descriptor, std::string path, std::atomic<std::uint64_t>& written,
              const std::atomic<bool>& stop);
  // Gives up what is not written.
  ~WriteBehind();

  // The bytes stay as they are until `finish`, or until `wait_for_less_than` says that they are written.
  void write(std::uint64_t offset, std::span<const std::byte> bytes);
  // Returns when fewer than `blocks` are left to write. Throws what a write threw.
  void wait_for_less_than(std::size_t blocks);
  // Returns when all is written. Throws what a write threw.
  void finish() { wait_for_less_than(1); }

 private:
  struct Block {
    std::uint64_t offset;
    std::span<const std::byte> bytes;
  };

  void run();

  const int descriptor_;
  const std::string path_;
  std::atomic<std::uint64_t>& written_;
  const std::atomic<bool>& stop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Block> blocks_;  // the first is being written
  bool closed_ = false;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace tutti::checkpoint
