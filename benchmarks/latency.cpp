#include "benchmarks/latency.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <random>
#include <vector>

namespace tutti::bench {
namespace {

constexpr int batches = 101, round_trips = 100;

using Line = std::atomic<std::uint32_t>;

// A page that ranks 0 and 1 share, if they can.
class Page {
 public:
  explicit Page(Communicator& comm) {
    std::int64_t number[] = {static_cast<std::int64_t>(std::random_device()())};
    comm.broadcast(number, 0);
    const auto name = fmt::format("/tutti-bench-{:08x}", number[0]);
    if (comm.rank() == 0) {
      fd_ = shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
      usable_ = fd_ >= 0 && ftruncate(fd_, bytes) == 0;
    }
    comm.barrier();
    if (comm.rank() == 1) {
      fd_ = shm_open(name.c_str(), O_RDWR, 0);
      usable_ = fd_ >= 0;
    }
    comm.barrier();
    if (comm.rank() == 0) shm_unlink(name.c_str());
    if (usable_) memory_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  }
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;
  ~Page() {
    if (memory_ != MAP_FAILED) munmap(memory_, bytes);
    if (fd_ >= 0) close(fd_);
  }
  Line* line() const { return memory_ == MAP_FAILED ? nullptr : static_cast<Line*>(memory_); }

 private:
  static constexpr std::size_t bytes = 4096;
  int fd_ = -1;
  bool usable_ = false;
  void* memory_ = MAP_FAILED;
};

// Ranks 0 and 1 on a core each, for a moment: where cores are few, the scheduler puts them on one.
class Pinned {
 public:
  explicit Pinned(int rank) {
    sched_getaffinity(0, sizeof before_, &before_);
    std::vector<int> cores;
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(core, &before_)) cores.push_back(core);
    }
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(rank == 0 ? cores.front() : cores.back(), &one);
    sched_setaffinity(0, sizeof one, &one);
  }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;
  ~Pinned() { sched_setaffinity(0, sizeof before_, &before_); }

 private:
  cpu_set_t before_;
};

void wait_for(const Line& line, std::uint32_t value) {
  for (int spins = 0; line.load(std::memory_order_acquire) != value; ++spins) {
    if (spins > 10000) sched_yield();  // the other one may wait for this core
  }
}

double ping_pong(Line& line, int rank) {
  const Pinned pinned(rank);
  std::vector<double> nanoseconds;
  std::uint32_t value = 0;
  for (int batch = 0; batch < batches; ++batch) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < round_trips; ++i, value += 2) {
      if (rank == 0) line.store(value + 1, std::memory_order_release);
      wait_for(line, value + (rank == 0 ? 2 : 1));
      if (rank == 1) line.store(value + 2, std::memory_order_release);
    }
    const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - start;
    nanoseconds.push_back(taken.count() / (2 * round_trips));
  }
  std::nth_element(nanoseconds.begin(), nanoseconds.begin() + batches / 2, nanoseconds.end());
  return nanoseconds[batches / 2];
}

}  // namespace

std::optional<double> line_latency(Communicator& comm) {
  if (comm.size() < 2) return {};
  const Page page(comm);
  std::int32_t shared[] = {comm.rank() > 1 || page.line() != nullptr};
  comm.all_reduce(shared, ReduceOp::min);
  if (!shared[0]) return {};
  double latency[] = {0};
  if (comm.rank() < 2) latency[0] = ping_pong(*page.line(), comm.rank());
  comm.broadcast(latency, 0);
  return latency[0];
}

}  // namespace tutti::bench
