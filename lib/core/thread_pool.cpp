#include "core/thread_pool.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "core/parallel_for.h"
#include "core/pause.h"
#include "tutti/core/threads.h"

namespace tutti::threads {
namespace {

constexpr std::uint32_t closed = 1u << 31;

// In a piece of a loop.
thread_local bool within = false;

// The pool of the process that was forked is kept by its child: its threads are not there to be joined.
constinit std::atomic<Pool*> pool = nullptr;
Pool* former_pool = nullptr;
[[maybe_unused]] const bool forgotten_by_children =
    ::pthread_atfork(nullptr, nullptr, [] { former_pool = pool.exchange(nullptr); }) == 0;

// Looks for about as long as it takes to wake a thread: between the operations of a training step helpers so stay awake.
template <typename Done>
bool soon(Done done) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(50);
  do {
    for (int i = 0; i < 32; ++i) {
      if (done()) return true;
      pause();
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

// Signals of the program are for its own threads: those that are started meanwhile take none but of their own faults.
class NoSignals {
 public:
  NoSignals() {
    sigset_t all;
    ::sigfillset(&all);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) ::sigdelset(&all, fault);
    ::pthread_sigmask(SIG_SETMASK, &all, &former_);
  }
  ~NoSignals() { ::pthread_sigmask(SIG_SETMASK, &former_, nullptr); }
  NoSignals(const NoSignals&) = delete;
  NoSignals& operator=(const NoSignals&) = delete;

 private:
  sigset_t former_;
};

void run_alone(const Loop& loop) {
  for (std::int64_t i = 0; i < loop.count; ++i) loop.piece(loop.context, i);
}

}  // namespace

Pool::Pool() : inside_(closed) {}

Pool& Pool::instance() {
  auto* there = pool.load(std::memory_order_acquire);
  if (there) return *there;
  auto fresh = std::unique_ptr<Pool>(new Pool);
  return pool.compare_exchange_strong(there, fresh.get()) ? *fresh.release() : *there;
}

bool Pool::run(int threads, const Loop& loop) {
  const std::unique_lock lock(busy_, std::try_to_lock);
  if (!lock) return false;
  resize(static_cast<std::size_t>(threads) - 1);
  loop_ = loop;
  workers_ = std::min(helpers_.size() + 1, static_cast<std::size_t>(loop.count));
  for (std::size_t i = 0; i < workers_; ++i) {
    const auto first = [&](std::size_t worker) {
      return loop.count * static_cast<std::int64_t>(worker) / static_cast<std::int64_t>(workers_);
    };
    shares_[i].next.store(first(i), std::memory_order_relaxed);
    shares_[i].end = first(i + 1);
  }
  failed_.store(false, std::memory_order_relaxed);
  inside_.store(0, std::memory_order_release);
  number_.fetch_add(1, std::memory_order_release);
  number_.notify_all();
  work(0);
  close();
  if (failed_) std::rethrow_exception(std::exchange(error_, nullptr));
  return true;
}

void Pool::resize(std::size_t helpers) {
  if (shares_ && helpers == asked_) return;
  auto shares = std::make_unique<Share[]>(helpers + 1);
  ending_ = true;
  number_.fetch_add(1, std::memory_order_release);
  number_.notify_all();
  for (auto& helper : helpers_) helper.join();
  helpers_.clear();
  helpers_.reserve(helpers);
  ending_ = false;
  shares_ = std::move(shares);
  asked_ = helpers;
  const NoSignals none;
  try {
    while (helpers_.size() < helpers) {
      helpers_.emplace_back(&Pool::help, this, helpers_.size() + 1, number_.load());
    }
  } catch (const std::system_error&) {  // the system gives no more threads: those that there are do it
  }
}

void Pool::help(std::size_t index, std::uint32_t seen) {
  while (true) {
    const auto newer = [&] { return number_.load(std::memory_order_acquire) != seen; };
    if (!soon(newer)) number_.wait(seen, std::memory_order_acquire);
    // In this order: who sees the number by which helpers were told to end sees that too, and who does not will look again.
    seen = number_.load(std::memory_order_acquire);
    if (ending_.load(std::memory_order_acquire)) return;
    if (!enter()) continue;
    if (index < workers_) work(index);
    leave();
  }
}

bool Pool::enter() {
  auto inside = inside_.load(std::memory_order_relaxed);
  do {
    if (inside & closed) return false;
  } while (!inside_.compare_exchange_weak(inside, inside + 1, std::memory_order_acquire));
  return true;
}

void Pool::leave() {
  if (inside_.fetch_sub(1, std::memory_order_acq_rel) == (closed | 1)) inside_.notify_one();
}

void Pool::close() {
  auto inside = inside_.fetch_or(closed, std::memory_order_acq_rel) | closed;
  const auto empty = [&] { return (inside = inside_.load(std::memory_order_acquire)) == closed; };
  if (inside == closed || soon(empty)) return;
  while (!empty()) inside_.wait(inside, std::memory_order_acquire);
}

void Pool::work(std::size_t index) {
  within = true;
  for (std::size_t k = 0; k < workers_; ++k) {
    auto& share = shares_[(index + k) % workers_];
    while (!failed_.load(std::memory_order_relaxed)) {
      const auto i = share.next.fetch_add(1, std::memory_order_relaxed);
      if (i >= share.end) break;
      try {
        loop_.piece(loop_.context, i);
      } catch (...) {
        if (!failed_.exchange(true)) error_ = std::current_exception();
      }
    }
  }
  within = false;
}

void run(std::int64_t count, void (*piece)(void*, std::int64_t), void* context) {
  const Loop loop{count, piece, context};
  const int threads = within ? 1 : num_threads();
  if (threads == 1 || !Pool::instance().run(threads, loop)) run_alone(loop);
}

}  // namespace tutti::threads
