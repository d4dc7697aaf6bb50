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

std::atomic<int> asked = 0;  // by the user; 0: not yet looked for
std::atomic<int> ranks = 1;  // that share the cores

// A quota of the second control group, as of a container: "200000 100000" is two cores.
double quota() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  double time = 0, period = 0;
  return file >> time >> period && period > 0 ? time / period : most;
}

int from_environment() {
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

int default_threads() {
  static const int said = from_environment();
  static const int cores = usable_cores();
  return said != 0 ? said : std::max(1, cores / ranks.load(std::memory_order_relaxed));
}

}  // namespace

int usable_cores() {
  cpu_set_t set;
  const int allowed = ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  return std::max(1, std::min(allowed, static_cast<int>(std::ceil(quota()))));
}

void share_cores(int count) { ranks = count; }

int num_threads() {
  const int count = asked.load(std::memory_order_relaxed);
  return count != 0 ? count : default_threads();
}

void set_num_threads(int count) {
  if (count < 1 || count > most) {
    throw ConfigError(fmt::format("set_num_threads: must be from 1 to {}, got {}", most, count));
  }
  asked = count;
}

}  // namespace tutti
