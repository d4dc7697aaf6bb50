#include "tutti/comm/logical_ranks.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "processes.h"
#include "ranks.h"
#include "tree_sum.h"
#include "tutti/comm/world.h"
#include "tutti/core/error.h"

namespace tutti::test {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

std::vector<int> all_of(const LogicalRanks& ranks) {
  std::vector<int> all;
  for (const int v : ranks) all.push_back(v);
  return all;
}

TEST(LogicalRanks, AreSharedByTheRanksInOrder) {
  for (int count = 1; count <= 32; ++count) {
    for (int size = 1; size <= count; ++size) {
      std::vector<int> together, expected(static_cast<std::size_t>(count));
      std::iota(expected.begin(), expected.end(), 0);
      int most = 0;
      for (int rank = 0; rank < size; ++rank) {
        const LogicalRanks ranks(count, rank, size);
        const auto mine = all_of(ranks);
        EXPECT_EQ(ranks.count(), count);
        EXPECT_EQ(ranks.first(), mine.front());
        EXPECT_EQ(static_cast<std::size_t>(ranks.local_count()), mine.size());
        together.insert(together.end(), mine.begin(), mine.end());
        most = std::max(most, ranks.local_count());
      }
      EXPECT_EQ(together, expected) << size << " ranks";
      EXPECT_EQ(LogicalRanks(count, 0, size).largest_local_count(), most) << size << " ranks of " << count;
    }
  }
}

TEST(LogicalRanks, OfEightOnThreeRanksAreTwoTwoAndFour) {
  EXPECT_EQ(all_of({8, 0, 3}), (std::vector{0, 1}));
  EXPECT_EQ(all_of({8, 1, 3}), (std::vector{2, 3}));
  EXPECT_EQ(all_of({8, 2, 3}), (std::vector{4, 5, 6, 7}));
}

TEST(LogicalRanks, AreAtLeastAsManyAsRanks) {
  EXPECT_THAT([] { LogicalRanks(3, 0, 4); },
              ThrowsMessage<ConfigError>("logical ranks: each rank has at least one, so 3 of them serve at "
                                         "most 3 ranks, not 4"));
  EXPECT_THROW(LogicalRanks(0, 0, 1), ConfigError);
  EXPECT_THROW(LogicalRanks(-1, 0, 1), ConfigError);
  EXPECT_THROW(LogicalRanks(3, 0, 0), ConfigError);
}

TEST(LogicalRanks, AreAtFirstTheNextPowerOfTwo) {
  for (const auto& [size, count] : {std::pair{1, 1}, {2, 2}, {3, 4}, {4, 4}, {5, 8}, {8, 8}}) {
    for (const auto& world : World::threads(size)) EXPECT_EQ(world.logical_ranks().count(), count) << size;
  }
}

TEST(LogicalRanks, AreSetOnACommunicator) {
  auto worlds = World::threads(3);
  worlds[1].set_logical_ranks(8);
  EXPECT_EQ(all_of(worlds[1].logical_ranks()), (std::vector{2, 3}));
  EXPECT_THROW(worlds[1].set_logical_ranks(2), ConfigError);
  EXPECT_THROW(worlds[1].set_logical_ranks(0), ConfigError);
  EXPECT_EQ(worlds[1].logical_ranks().count(), 8);  // as before
}

TEST(LogicalRanks, AreKeptByAShrinkAndNotByASplit) {
  const auto results = on_threads(3, [](Communicator& world) -> std::string {
    world.set_logical_ranks(16);
    const auto part = world.split(world.rank() % 2);
    if (part.logical_ranks().count() != part.size()) return "kept by a split";
    if (world.rank() == 2) {
      Communicator leaves = std::move(world);
      return "";
    }
    try {
      while (true) world.barrier();
    } catch (const CommError&) {
    }
    const auto rest = world.shrink();
    const auto ranks = rest.logical_ranks();
    return ranks.count() == 16 && ranks.local_count() == 8 ? "" : "not kept by a shrink";
  });
  EXPECT_THAT(results, Each(IsEmpty()));
}

// The mean of rough numbers, one of each of 8 logical ranks, by its bits.
std::string mean_of_eight(Communicator& comm) {
  comm.set_logical_ranks(8);
  std::vector<double> values;
  for (const int v : comm.logical_ranks()) values.push_back(rough_value<double>(v, 3));
  return fmt::format("{:a}", tree_mean(values, comm));
}

TEST(TreeMean, HasTheSameBitsInAnyWorld) {
  Communicator alone;
  const auto expected = mean_of_eight(alone);
  EXPECT_EQ(expected, fmt::format("{:a}", tree_sum<double>(ReduceOp::sum, 8, 3) / 8));
  for (int size = 1; size <= 8; ++size) {
    EXPECT_THAT(on_threads(size, mean_of_eight), Each(expected)) << size << " threads";
  }
  for (const int size : {3, 5}) {
    Processes ranks(size, mean_of_eight);
    EXPECT_THAT(ranks.reports(), Each(expected)) << size << " processes";
  }
}

TEST(TreeMean, TakesAValueOfEachLogicalRank) {
  Communicator alone;
  alone.set_logical_ranks(4);
  EXPECT_THAT(
      [&] {
        tree_mean(std::array{1.0, 2.0}, alone);
      },
      ThrowsMessage<ShapeError>("tree_mean: this rank has 4 logical ranks, got 2 values"));
  EXPECT_EQ(tree_mean(std::array{1.0, 2.0, 3.0, 6.0}, alone), 3);
}

}  // namespace
}  // namespace tutti::test
