/// \file
/// The parts of a global batch, which stay the same whatever the number of ranks.
#pragma once

#include <span>

#include "tutti/core/tree.h"

namespace tutti {

class Communicator;

/// The V logical ranks of a run and those of them that one rank has. A global batch is always V micro-batches, one
/// of each logical rank; a rank of a smaller world has several, neighbours that form a subtree of the tree over all
/// V (tutti/core/tree.h). What is summed over them is summed in that tree, so its bits do not depend on the number
/// of ranks.
///
///     for (int v : world.logical_ranks()) ...    // those of this rank
class LogicalRanks {
 public:
  /// `count` logical ranks on `size` ranks, as rank `rank` sees them.
  /// \throws ConfigError unless 1 <= size <= count.
  LogicalRanks(int count, int rank, int size);

  /// V, of all ranks together.
  int count() const { return count_; }
  /// This rank's are first() to first() + local_count() - 1.
  int first() const { return first_; }
  int local_count() const { return local_count_; }
  /// How many the rank with the most has: a step takes as long as these.
  int largest_local_count() const { return largest_; }

  class Iterator {
   public:
    explicit Iterator(int v) : v_(v) {}
    int operator*() const { return v_; }
    Iterator& operator++() { return ++v_, *this; }
    bool operator==(const Iterator&) const = default;

   private:
    int v_;
  };
  Iterator begin() const { return Iterator(first_); }
  Iterator end() const { return Iterator(first_ + local_count_); }

 private:
  int count_, first_, local_count_, largest_;
};

/// The mean over all logical ranks of a number that each has (a loss, say), the same bits in any world. `values` are
/// those of this rank's logical ranks, in order. A collective call.
/// \throws ShapeError when there are not as many values as logical ranks here.
double tree_mean(std::span<const double> values, Communicator& comm);

}  // namespace tutti
