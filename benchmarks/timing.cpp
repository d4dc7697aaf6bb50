#include "benchmarks/timing.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>

namespace tutti::bench {
namespace {

constexpr std::size_t small_bytes = 16 << 10;
constexpr double batch_seconds = 5e-4;
constexpr double round_seconds = 0.1;  // of all contestants together
constexpr double most_turns = 500;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median_of(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Whether all ranks read the same clock.
bool on_one_machine(Communicator& comm) {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  const std::string id((std::istreambuf_iterator<char>(file)), {});
  const auto hash = static_cast<std::int64_t>(std::hash<std::string>()(id));
  std::int64_t both_ends[] = {hash, ~hash};  // ~ turns the order round: one reduction finds least and most
  comm.all_reduce(both_ends, ReduceOp::max);
  return both_ends[0] == ~both_ends[1];
}

class Stopwatch {
 public:
  explicit Stopwatch(Communicator& comm) : comm_(comm), one_clock_(on_one_machine(comm)) {}

  // Seconds that `calls` calls take for one, prepared once before or, if there are several, each.
  double turn(const Contestant& contestant, int calls) const {
    if (calls == 1) contestant.prepare();
    comm_.barrier();
    const double start = now();
    if (calls == 1) {
      contestant.call();
    } else {
      for (int i = 0; i < calls; ++i) {
        contestant.prepare();
        contestant.call();
      }
    }
    const double end = now();
    // The last start, or the first one as the last of the negatives.
    const double sign = contestant.together ? 1 : -1;
    double times[] = {one_clock_ ? sign * start : 0, one_clock_ ? end : end - start};
    if (!contestant.takes_part) std::fill_n(times, 2, std::numeric_limits<double>::lowest());
    comm_.all_reduce(times, ReduceOp::max);
    return (times[1] - sign * times[0]) / calls;
  }

 private:
  Communicator& comm_;
  bool one_clock_;
};

}  // namespace

Spread spread_of(std::vector<double> rounds) {
  const auto [lowest, highest] = std::minmax_element(rounds.begin(), rounds.end());
  return {median_of(rounds), *lowest, *highest};
}

std::vector<std::vector<double>> by_turns(Communicator& comm, const Settings& settings, std::size_t bytes,
                                          std::span<const Contestant> contestants) {
  const Stopwatch stopwatch(comm);
  const bool small = bytes <= small_bytes;
  std::vector<int> calls;
  double once = 0;  // one turn of each
  for (const auto& contestant : contestants) {
    stopwatch.turn(contestant, small ? 20 : 1);
    const double estimate = std::max(stopwatch.turn(contestant, small ? 20 : 1), 1e-9);
    const double fitting = std::clamp(batch_seconds / estimate, 10.0, 20000.0);
    calls.push_back(!small ? 1 : settings.iterations > 0 ? settings.iterations : static_cast<int>(fitting));
    once += estimate * calls.back();
  }
  const int given_turns = small ? 1 : settings.iterations;
  const int turns = settings.iterations > 0
                        ? given_turns
                        : static_cast<int>(std::clamp(round_seconds / once, 1.0, most_turns));
  std::vector<std::vector<double>> result(contestants.size());
  for (int round = 0; round < settings.rounds; ++round) {
    std::vector<std::vector<double>> seconds(contestants.size());
    for (int turn = 0; turn < turns; ++turn) {
      for (std::size_t i = 0; i < contestants.size(); ++i)
        seconds[i].push_back(stopwatch.turn(contestants[i], calls[i]));
    }
    for (std::size_t i = 0; i < contestants.size(); ++i) result[i].push_back(median_of(seconds[i]));
  }
  return result;
}

}  // namespace tutti::bench
