/// \file
/// The one binary tree in which sums are taken.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <span>

namespace tutti {

/// Of `n` >= 2 leaves, how many stand in the left half: the tree is that of a heap, filled from the left, so that
/// five leaves are ((0 + 1) + 2) + (3 + 4). It has two properties that others lack. Any number of ranks up to n can
/// share its leaves so that each has a subtree and their roots stand in the tree over the ranks: with the larger
/// share at most the next power of two of the mean, where n is a power of two. And groups of 2^k leaves are subtrees
/// where 2^k divides n.
constexpr std::size_t left_leaves(std::size_t n) {
  const std::size_t full = std::bit_floor(n);
  return full / 2 + std::min(n - full, full / 2);
}

/// Neighbouring leaves.
struct Leaves {
  std::size_t first = 0;
  std::size_t count = 0;

  bool operator==(const Leaves&) const = default;
};

/// Of `leaves` leaves that `size` ranks share, the subtree of rank `rank`; 1 <= size <= leaves.
constexpr Leaves leaves_of(std::size_t rank, std::size_t size, std::size_t leaves) {
  Leaves mine{0, leaves};
  while (size > 1) {
    const std::size_t left_ranks = left_leaves(size), left = left_leaves(mine.count);
    if (rank < left_ranks) {
      mine.count = left;
      size = left_ranks;
    } else {
      mine = {mine.first + left, mine.count - left};
      rank -= left_ranks;
      size -= left_ranks;
    }
  }
  return mine;
}

/// The sum of `values` in the tree; 0 of none.
template <typename T>
constexpr T tree_sum(std::span<const T> values) {
  if (values.empty()) return T(0);
  if (values.size() == 1) return values[0];
  const std::size_t left = left_leaves(values.size());
  return tree_sum(values.first(left)) + tree_sum(values.subspan(left));
}

}  // namespace tutti
