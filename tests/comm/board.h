// What the ranks of a test tell the test while they run, be they threads or processes.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <thread>

namespace tutti::test {

inline std::int64_t nanoseconds_now() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// To be made before the processes are. All of it is zero at first.
class Board {
 public:
  static constexpr int max_ranks = 16;

  struct Column {
    std::atomic<std::int64_t> rounds;     // that the rank has been through
    std::atomic<std::int64_t> failed_at;  // when it met its first error, of the steady clock
  };

  Board() {
    void* page = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) throw std::runtime_error("mmap failed");
    columns_ = static_cast<Column*>(page);
  }
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;
  ~Board() { ::munmap(columns_, bytes); }

  Column& operator[](int rank) const { return columns_[rank]; }

  // Until each rank has come so far or failed; not for ever, for one may not even have begun.
  void wait_for(int ranks, std::int64_t rounds) const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20 * TEST_SLOWDOWN);
    for (int rank = 0; rank < ranks; ++rank) {
      while (columns_[rank].rounds < rounds && columns_[rank].failed_at == 0 &&
             std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
  }

 private:
  static constexpr std::size_t bytes = max_ranks * sizeof(Column);

  Column* columns_;
};

}  // namespace tutti::test
