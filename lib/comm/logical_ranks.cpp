#include "tutti/comm/logical_ranks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tutti/comm/communicator.h"
#include "tutti/core/error.h"

namespace tutti {

LogicalRanks::LogicalRanks(int count, int rank, int size) : count_(count) {
  if (size < 1 || size > count) {
    throw ConfigError(
        fmt::format("logical ranks: each rank has at least one, so {} of them serve at most {} ranks, not {}",
                    count, count, size));
  }
  const auto of = [&](int r) {
    return leaves_of(static_cast<std::size_t>(r), static_cast<std::size_t>(size),
                     static_cast<std::size_t>(count));
  };
  const auto mine = of(rank);
  first_ = static_cast<int>(mine.first);
  local_count_ = static_cast<int>(mine.count);
  largest_ = local_count_;
  for (int r = 0; r < size; ++r) largest_ = std::max(largest_, static_cast<int>(of(r).count));
}

double tree_mean(std::span<const double> values, Communicator& comm) {
  const LogicalRanks ranks = comm.logical_ranks();
  if (values.size() != static_cast<std::size_t>(ranks.local_count())) {
    throw ShapeError(fmt::format("tree_mean: this rank has {} logical ranks, got {} values",
                                 ranks.local_count(), values.size()));
  }
  std::array<double, 1> sum{tree_sum(values)};
  comm.all_reduce(sum);
  return sum[0] / ranks.count();
}

}  // namespace tutti
