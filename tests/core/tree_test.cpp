// The tree of sums, symbolically, and how ranks share its leaves.
#include "tutti/core/tree.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <string>
#include <vector>

namespace tutti {
namespace {

static_assert(left_leaves(2) == 1 && left_leaves(3) == 2 && left_leaves(4) == 2 && left_leaves(5) == 3);
static_assert(left_leaves(6) == 4 && left_leaves(7) == 4 && left_leaves(8) == 4 && left_leaves(9) == 5);
static_assert(leaves_of(0, 1, 5) == Leaves{0, 5});
static_assert(leaves_of(0, 3, 8) == Leaves{0, 2} && leaves_of(2, 3, 8) == Leaves{4, 4});
static_assert(tree_sum(std::span<const int>()) == 0);
static_assert(tree_sum<int>(std::array{1, 2, 4, 8, 16}) == 31);

// A sum as it was taken: "(01)" of leaves 0 and 1.
struct Sum {
  std::string text;
  explicit Sum(int) {}
  explicit Sum(std::string what) : text(std::move(what)) {}
  friend Sum operator+(const Sum& a, const Sum& b) { return Sum("(" + a.text + " " + b.text + ")"); }
};

std::vector<Sum> numbered(std::size_t first, std::size_t count) {
  std::vector<Sum> leaves;
  for (std::size_t i = first; i < first + count; ++i) leaves.emplace_back(fmt::format("{}", i));
  return leaves;
}

std::string sum_of(const std::vector<Sum>& values) { return tree_sum<Sum>(values).text; }

// The definition: a heap of n leaves, where node i has the children 2i and 2i + 1. Those without children are the
// leaves; from the left they are numbered as they are met.
std::string heap(std::size_t node, std::size_t n, std::size_t& leaf) {
  if (node >= n) return fmt::format("{}", leaf++);
  const auto left = heap(2 * node, n, leaf);
  const auto right = heap(2 * node + 1, n, leaf);
  return "(" + left + " " + right + ")";
}

TEST(Tree, OfFiveIsThis) { EXPECT_EQ(sum_of(numbered(0, 5)), "(((0 1) 2) (3 4))"); }

TEST(Tree, IsAHeapFilledFromTheLeft) {
  for (std::size_t n = 1; n <= 300; ++n) {
    std::size_t leaf = 0;
    EXPECT_EQ(sum_of(numbered(0, n)), heap(1, n, leaf)) << n << " leaves";
  }
}

// Each rank sums its leaves, the ranks' sums are summed over the ranks. That this gives the text of the whole tree
// says too that what a rank has is a subtree of it.
void expect_shared(std::size_t size, std::size_t leaves) {
  std::vector<Sum> roots;
  std::size_t next = 0;
  for (std::size_t rank = 0; rank < size; ++rank) {
    const auto [first, count] = leaves_of(rank, size, leaves);
    ASSERT_EQ(first, next) << "rank " << rank << " of " << size << ", " << leaves << " leaves";
    ASSERT_GE(count, 1u) << "rank " << rank << " of " << size << ", " << leaves << " leaves";
    roots.emplace_back(sum_of(numbered(first, count)));
    next += count;
  }
  ASSERT_EQ(next, leaves) << size << " ranks";
  EXPECT_EQ(sum_of(roots), sum_of(numbered(0, leaves))) << size << " ranks";
}

TEST(Tree, OfTheRanksIsTheTopOfThatOfTheLeaves) {
  for (std::size_t leaves = 1; leaves <= 64; ++leaves) {
    for (std::size_t size = 1; size <= leaves; ++size) expect_shared(size, leaves);
  }
  for (const std::size_t leaves : {100u, 1000u, 1024u}) {
    for (const std::size_t size : {1u, 2u, 3u, 5u, 31u, 64u, 77u, 100u}) expect_shared(size, leaves);
  }
}

TEST(Tree, GivesNoRankMoreThanTheNextPowerOfTwoOfTheMean) {
  for (std::size_t leaves = 1; leaves <= 4096; leaves *= 2) {
    for (std::size_t size = 1; size <= std::min<std::size_t>(leaves, 300); ++size) {
      std::size_t most = 0;
      for (std::size_t rank = 0; rank < size; ++rank) {
        most = std::max(most, leaves_of(rank, size, leaves).count);
      }
      EXPECT_EQ(most, std::bit_ceil((leaves + size - 1) / size)) << size << " ranks, " << leaves << " leaves";
    }
  }
}

// So that ranks can be summed first on each machine and then over the machines.
TEST(Tree, HasGroupsOfAPowerOfTwoAsSubtrees) {
  for (std::size_t group = 1; group <= 16; group *= 2) {
    for (std::size_t groups = 1; groups <= 40; ++groups) {
      std::vector<Sum> roots;
      for (std::size_t g = 0; g < groups; ++g) roots.emplace_back(sum_of(numbered(g * group, group)));
      EXPECT_EQ(sum_of(roots), sum_of(numbered(0, group * groups))) << groups << " groups of " << group;
    }
  }
}

}  // namespace
}  // namespace tutti
