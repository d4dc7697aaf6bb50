// Who writes what.
#include "checkpoint/plan.h"

#include <gmock/gmock.h>

#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti::checkpoint {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

// Names and sizes, in f32 elements, of what every rank holds.
ShardedTensors whole_state(std::initializer_list<std::pair<const char*, std::int64_t>> tensors) {
  NamedTensors all;
  for (const auto& [name, count] : tensors) all.push_back({name, zeros({count})});
  return replicated(all);
}

std::int64_t bytes_of(const SavePlan& plan) {
  std::int64_t sum = 0;
  for (const auto& file : plan.files) {
    for (const auto& piece : file.pieces) sum += piece.range.size();
  }
  return sum;
}

TEST(PlanTest, WhatEveryRankHoldsIsWrittenOnceInEqualParts) {
  const auto state = whole_state({{"model.a", 100'003}, {"model.b", 7}, {"data.c", 0}, {"data.d", 33'333}});
  for (const int ranks : {2, 3, 7}) {
    std::vector<std::vector<int>> times(state.size());
    for (std::size_t t = 0; t < state.size(); ++t)
      times[t].resize(static_cast<std::size_t>(state[t].bytes()));
    int without_elements = 0;
    const std::int64_t share = 4 * (100'003 + 7 + 33'333) / ranks;
    for (int r = 0; r < ranks; ++r) {
      const auto plan = plan_save({}, state, r, ranks, false);
      ASSERT_EQ(plan.files.size(), 1u);
      EXPECT_NEAR(static_cast<double>(bytes_of(plan)), static_cast<double>(share), 256);
      for (const auto& [tensor, range] : plan.files[0].pieces) {
        without_elements += tensor == 2;
        EXPECT_EQ(range.begin % 4, 0);
        for (auto at = range.begin; at < range.end; ++at) ++times[tensor][static_cast<std::size_t>(at)];
      }
    }
    EXPECT_EQ(without_elements, 1);
    for (const auto& tensor : times) EXPECT_THAT(tensor, testing::Each(1));
  }
}

TEST(PlanTest, WhatIsShardedStaysWhereItIs) {
  ShardedTensors state = whole_state({{"model.a", 64}});
  state[0].sharding = {.offset = 128, .share = 256};
  EXPECT_EQ(plan_save({}, state, 0, 2, false).files[0].pieces[0].range, (Sharding::Range{0, 128}));
  EXPECT_EQ(plan_save({}, state, 1, 2, false).files[0].pieces[0].range, (Sharding::Range{128, 256}));
}

TEST(PlanTest, SingleFilesAreOfRankZero) {
  const auto state = whole_state({{"model.a", 10}, {"data.b", 5}});
  EXPECT_TRUE(plan_save({}, state, 1, 2, true).files.empty());
  for (const auto& plan : {plan_save({}, state, 0, 2, true), plan_save({}, state, 0, 1, false)}) {
    ASSERT_EQ(plan.files.size(), 2u);
    EXPECT_EQ(plan.manifest.files[0].name, "model.safetensors");
    EXPECT_EQ(plan.manifest.files[1].name, "train.safetensors");
    EXPECT_EQ(plan.files[0].pieces[0].tensor, 0u);
    EXPECT_EQ(plan.files[1].pieces[0].tensor, 1u);
  }
  auto spread = state;
  spread[0].sharding = {.offset = 0, .share = 32};
  EXPECT_THAT([&] { plan_save({}, spread, 0, 2, true); },
              ThrowsMessage<CheckpointError>(HasSubstr("\"model.a\" is spread over ranks")));
}

}  // namespace
}  // namespace tutti::checkpoint
