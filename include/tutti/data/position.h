/// \file
/// How far a loader has come.
#pragma once

#include <cstdint>

#include "tutti/comm/logical_ranks.h"

namespace tutti::data {

/// The micro-batch that a loader gives next: that of a step and of a logical rank. The logical ranks of this rank
/// take turns, then the next step begins.
class Position {
 public:
  explicit Position(const LogicalRanks& ranks) : ranks_(ranks), logical_rank_(ranks.first()) {}

  const LogicalRanks& ranks() const { return ranks_; }
  /// From 0.
  std::int64_t step() const { return step_; }
  int logical_rank() const { return logical_rank_; }
  /// How many of this rank's micro-batches of the step were given.
  int taken() const { return logical_rank_ - ranks_.first(); }

  void advance() {
    if (++logical_rank_ == ranks_.first() + ranks_.local_count()) go_to(step_ + 1);
  }
  /// To the beginning of a step.
  void go_to(std::int64_t step) {
    step_ = step;
    logical_rank_ = ranks_.first();
  }

 private:
  LogicalRanks ranks_;
  std::int64_t step_ = 0;
  int logical_rank_;
};

}  // namespace tutti::data
