#include "tutti/core/threads.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string_view>

#include "core/share_of_threads.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

constexpr int most = 1024;

// No static of a function: a child that is forked while another thread makes one would wait for it for ever.
constinit std::atomic<int> asked = 0;    // by set_num_threads; 0: nobody did
constinit std::atomic<int> usual = 0;    // where nobody asked; 0: to be found out
constinit std::atomic<int> sharing = 1;  // ranks that have the cores, processes and
constinit std::atomic<int> within = 1;   // threads of this one

// A quota of the second control group, as of a container: "200000 100000" is two cores.
double quota() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  double time = 0, period = 0;
  return file >> time >> period && period > 0 ? time / period : most;
}

int find_usual() {
  const int said = threads_of_environment();
  return said != 0 ? said : std::max(1, usable_cores() / (sharing * within));
}

}  // namespace

int usable_cores() {
  cpu_set_t set;
  const int allowed = ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  return std::max(1, std::min(allowed, static_cast<int>(std::ceil(quota()))));
}

int threads_of_environment() {
  const char* text = std::getenv("TUTTI_THREADS");
  if (!text) return 0;
  const std::string_view value = text;
  int count = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), count);
  if (error != std::errc() || end != value.data() + value.size() || count < 1 || count > most) {
    throw ConfigError(fmt::format("TUTTI_THREADS={}: must be a whole number from 1 to {}", value, most));
  }
  return count;
}

void share_cores(int processes) {
  sharing = std::max(1, processes);
  usual = 0;
}

void share_process(int threads) {
  within = std::max(1, threads);
  usual = 0;
}

int num_threads() {
  for (const auto* known : {&asked, &usual}) {
    if (const int count = known->load(std::memory_order_relaxed)) return count;
  }
  return usual = find_usual();
}

void set_num_threads(int count) {
  if (count < 1 || count > most) {
    throw ConfigError(fmt::format("set_num_threads: must be from 1 to {}, got {}", most, count));
  }
  asked = count;
}

}  // namespace tutti
