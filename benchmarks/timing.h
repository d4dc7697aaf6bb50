// Timing calls by turns.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "benchmarks/settings.h"
#include "tutti/comm/communicator.h"

namespace tutti::bench {

// One of those that are measured together.
struct Contestant {
  std::function<void()> prepare;  // writes this rank's input anew
  std::function<void()> call;
  bool together = true;    // whether no rank is through before all have begun, as in a collective
  bool takes_part = true;  // this rank
};

// Of one call, or of a ratio: the median over rounds, and the least and the most.
struct Spread {
  double median;
  double lowest;
  double highest;
};

Spread spread_of(std::vector<double> rounds);

// Seconds that each contestant took for a call in each round, the same on every rank.
//
// The contestants take turns, call by call, and every rank writes its input anew before each: as gradients are, so
// that no rank finds its part in its cache from the call before. A call lasts from when the last rank begins it to
// when the last one ends it (from when the first one does, where ranks do not wait for each other); where ranks are on several machines, which share no clock, as long as on the slowest
// rank. Of small buffers a turn is many calls, with the writing, divided by their number, since reading a clock takes
// as long as a call.
std::vector<std::vector<double>> by_turns(Communicator& comm, const Settings& settings, std::size_t bytes,
                                          std::span<const Contestant> contestants);

}  // namespace tutti::bench
