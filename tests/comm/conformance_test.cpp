#include "conformance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "processes.h"
#include "ranks.h"

namespace tutti::test {
namespace {

TEST(Conformance, Self) {
  Communicator comm;
  EXPECT_EQ(comm.backend(), "self");
  EXPECT_EQ(joined(run_conformance(comm)), "");
}

class ConformanceOfRanks : public ::testing::TestWithParam<int> {};

TEST_P(ConformanceOfRanks, Threads) {
  const auto results =
      on_threads(GetParam(), [](Communicator& comm) { return joined(run_conformance(comm)); });
  for (const auto& result : results) EXPECT_EQ(result, "");
}

TEST_P(ConformanceOfRanks, Shm) {
  Processes ranks(GetParam(), [](Communicator& comm) { return joined(run_conformance(comm)) + "done"; });
  for (const auto& report : ranks.reports()) EXPECT_EQ(report, "done");
  EXPECT_THAT(left_in_shm(), ::testing::IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(, ConformanceOfRanks, ::testing::Values(1, 2, 3, 4, 5));

}  // namespace
}  // namespace tutti::test
