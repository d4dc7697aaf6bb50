// Tutti on its own: one row of the table.
#pragma once

#include <optional>

#include "benchmarks/collective.h"
#include "benchmarks/timing.h"

namespace tutti::bench {

// One form of a collective.
struct Timing {
  Spread microseconds;
  double algorithm_bandwidth;     // GB/s: size / time
  double bus_bandwidth;           // GB/s: what the slowest link carried
  std::optional<double> of_copy;  // time of a copy / time
  std::size_t wrong;              // elements, over all ranks
};

struct Row {
  std::size_t bytes;
  std::size_t count;
  std::optional<Timing> out_of_place;
  std::optional<Timing> in_place;
};

// Every rank calls it, and all get the same row.
Row measure(Communicator& comm, const Collective& collective, const Settings& settings, std::size_t bytes);

}  // namespace tutti::bench
