#include "comm/shared/doorbell.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>

namespace tutti::comm {
namespace {

void futex(const std::atomic<std::uint32_t>* word, int operation, std::uint32_t value, const timespec* time) {
  ::syscall(SYS_futex, word, operation, value, time, nullptr, 0);
}

}  // namespace

void Doorbell::wake() {
  rings_.fetch_add(1, std::memory_order_seq_cst);
  futex(&rings_, FUTEX_WAKE, INT_MAX, nullptr);
}

void Doorbell::wait(std::uint32_t seen, std::chrono::microseconds time) const {
  const timespec relative{time.count() / 1'000'000, time.count() % 1'000'000 * 1000};
  futex(&rings_, FUTEX_WAIT, seen, &relative);
}

}  // namespace tutti::comm
