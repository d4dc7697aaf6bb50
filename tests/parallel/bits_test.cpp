// The same bits in any world: weights, optimizer's state and loss after training, on ranks that are threads.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <mutex>
#include <set>
#include <vector>

#include "tests/parallel/workload.h"
#include "tests/support/files.h"
#include "tests/support/ranks.h"

namespace tutti::test {
namespace {

constexpr int logical = 8;

// A covering part, or with TUTTI_BITS=all everything.
bool everything() { return std::getenv("TUTTI_BITS") != nullptr; }
int steps() { return everything() ? 50 : 12; }

std::string result_of(int size, const Workload& workload, int logical_ranks = logical) {
  std::mutex mutex;
  std::set<std::string> results;
  on_ranks(size, [&](Communicator& comm) {
    comm.set_logical_ranks(logical_ranks);
    const auto result = run(workload, comm);
    std::scoped_lock lock(mutex);
    results.insert(result);
  });
  EXPECT_EQ(results.size(), 1u) << "ranks of one world differ";
  return *results.begin();
}

class Bits : public ::testing::TestWithParam<const char*> {};

TEST_P(Bits, AreThoseOfOneRank) {
  const auto alone = result_of(1, {.model = GetParam(), .steps = steps()});
  for (const int size : {2, 3, 4, 5, 6, 7, 8}) {
    EXPECT_EQ(result_of(size, {.model = GetParam(), .steps = steps()}), alone) << size;
  }
}

TEST_P(Bits, AreThoseWithoutSharding) {
  const auto alone = result_of(1, {.model = GetParam(), .steps = steps()});
  const std::vector<int> sizes = everything() ? std::vector{1, 2, 3, 4, 5, 6, 7, 8} : std::vector{1, 3, 4};
  for (const Shard shard : {Shard::optimizer, Shard::gradients, Shard::parameters}) {
    for (const int size : sizes) {
      EXPECT_EQ(result_of(size, {.model = GetParam(), .shard = shard, .steps = steps()}), alone)
          << size << " ranks, sharding " << static_cast<int>(shard);
    }
  }
}

TEST_P(Bits, OfAnUnevenNumberOfLogicalRanks) {
  const auto alone = result_of(1, {.model = GetParam(), .steps = 6}, 6);
  for (const Shard shard : {Shard::none, Shard::gradients, Shard::parameters}) {
    for (const int size : {2, 4, 5, 6}) {
      EXPECT_EQ(result_of(size, {.model = GetParam(), .shard = shard, .steps = 6}, 6), alone)
          << size << " ranks, sharding " << static_cast<int>(shard);
    }
  }
}

TEST_P(Bits, AreThoseOfARunThatWasInterrupted) {
  const auto alone = result_of(1, {.model = GetParam(), .steps = steps()});
  for (const Shard before : {Shard::none, Shard::parameters}) {
    const TemporaryDirectory directory;
    result_of(
        4, {.model = GetParam(), .shard = before, .steps = steps() * 2 / 5, .checkpoints = directory.path()});
    EXPECT_EQ(result_of(3, {.model = GetParam(),
                            .shard = Shard::optimizer,
                            .steps = steps(),
                            .checkpoints = directory.path()}),
              alone);
  }
}

INSTANTIATE_TEST_SUITE_P(, Bits, ::testing::Values("mlp", "cnn", "gpt"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace tutti::test
