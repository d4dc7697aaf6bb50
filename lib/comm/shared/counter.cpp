#include "comm/shared/counter.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>
#include <thread>

namespace tutti::comm {
namespace {

// A line travels between cores within the pauses. The yields let a rank that shares this core run first;
// where they give the core to other work for longer, a sleeper is woken sooner than one who yields gets it
// back.
constexpr int pauses = 256;
constexpr std::chrono::microseconds yielding(30);

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

void futex(const std::atomic<std::uint32_t>* word, int operation, std::uint32_t value, const timespec* time) {
  ::syscall(SYS_futex, word, operation, value, time, nullptr, 0);
}

}  // namespace

void SharedCounter::advance_to(std::uint32_t value) {
  // Sequentially consistent on both sides: either this sees the sleeper, or the sleeper sees the value.
  value_.store(value, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) != 0) wake();
}

bool SharedCounter::spin(std::uint32_t target) const {
  for (int i = 0; i < pauses; ++i) {
    if (reached(target)) return true;
    pause();
  }
  const auto end = std::chrono::steady_clock::now() + yielding;
  while (!reached(target) && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  return reached(target);
}

void SharedCounter::sleep(std::uint32_t seen, std::chrono::milliseconds time) const {
  const timespec relative{time.count() / 1000, time.count() % 1000 * 1'000'000};
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  futex(&value_, FUTEX_WAIT, seen, &relative);
  sleepers_.fetch_sub(1, std::memory_order_relaxed);
}

void SharedCounter::wake() const { futex(&value_, FUTEX_WAKE, INT_MAX, nullptr); }

}  // namespace tutti::comm
