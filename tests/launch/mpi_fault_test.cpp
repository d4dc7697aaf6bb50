// What ranks under mpirun learn when one of them goes wrong.
#ifdef MPIRUN
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>

#include "tests/launch/leftovers.h"

namespace {

using namespace tutti::test;

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Ranks that may share memory: all, none, or two of four, as on two machines.
class MpiFaults : public ::testing::TestWithParam<int> {
 protected:
  std::string command(const std::string& rest) const {
    return fmt::format("TUTTI_MPI_SHARED_MEMORY={} " MPIRUN " -n 4 {}", GetParam(), rest);
  }
};

TEST_P(MpiFaults, AreTypedErrorsThatNameTheRank) {
  const auto result = shell(command(fmt::format(FAULTS " {}", TEST_SLOWDOWN)), 100);
  std::map<std::string, int> told;
  for (const auto& line : result.sorted_lines()) ++told[line.substr(0, line.find(' '))];
  // Eight collectives on three ranks, and messages on one, but for what a collective does not have.
  const std::map<std::string, int> expected{{"absent", 25}, {"other", 24}, {"size", 22},
                                            {"dtype", 22},  {"op", 6},     {"order", 6},
                                            {"root", 9},    {"throw", 25}, {"stop", 25}};
  EXPECT_EQ(told, expected) << result.out << result.err;
  for (const auto& line : result.sorted_lines()) {
    // Of two that differ, either is the other's culprit.
    if (line == "size message 0: CommError for 0" || line == "dtype message 0: CommError for 0") continue;
    const bool waited = line.rfind("absent", 0) == 0 || line.rfind("stop", 0) == 0;
    EXPECT_THAT(line, ::testing::EndsWith(waited ? ": TimeoutError for 3" : ": CommError for 3"));
  }
  EXPECT_THAT(left_in_shm(), IsEmpty());
}

// Open MPI ends the job. With messages alone, that may be before the survivors' deadline, and they say nothing.
TEST_P(MpiFaults, EndTheJobWhenARankIsKilled) {
  const auto mark = unique_argument();
  const auto result = shell("TUTTI_TIMEOUT=2 " + command(PROBE " die 3 " + mark), 30);
  EXPECT_NE(result.code, 0);
  EXPECT_NE(result.code, 124);
  if (GetParam() > 1) {
    EXPECT_THAT(result.out, HasSubstr(" for rank 3: barrier #2: "));
  }
  EXPECT_THAT(left_in_shm(), IsEmpty());
  EXPECT_FALSE(process_left(mark));
}

TEST_P(MpiFaults, EndTheJobWhenARankExits) {
  const auto mark = unique_argument();
  const auto result = shell("TUTTI_TIMEOUT=2 " + command(PROBE " leave 3 " + mark), 30);
  EXPECT_NE(result.code, 0);
  EXPECT_NE(result.code, 124);
  if (GetParam() > 1) {
    EXPECT_THAT(result.out, HasSubstr(" for rank 3: barrier #2: "));
  }
  EXPECT_THAT(left_in_shm(), IsEmpty());
  EXPECT_FALSE(process_left(mark));
}

// Ranks are lost at random moments of random collectives; TUTTI_CAMPAIGN=<n> makes n times as many runs.
int lose_ranks(const std::string& how, int runs,
               const std::function<std::string(const std::string&)>& command) {
  const char* factor = std::getenv("TUTTI_CAMPAIGN");
  runs *= factor != nullptr ? std::max(1, std::atoi(factor)) : 1;
  int hangs = 0, wrong = 0, others = 0, named = 0, leftovers = 0;
  for (int seed = 0; seed < runs; ++seed) {
    const auto mark = unique_argument();
    const auto result = shell(command(fmt::format(LOSSES " {} {} {}", how, seed, mark)), 60);
    hangs += result.code == 124 ? 1 : 0;
    EXPECT_NE(result.code, 0);
    for (const auto& line : result.sorted_lines()) {
      named += line.rfind("named", 0) == 0 ? 1 : 0;
      if (line.rfind("wrong", 0) == 0) {
        ++wrong;
        ADD_FAILURE() << how << " " << seed << ": " << line;
      }
      others += line.rfind("blamed", 0) == 0 ? 1 : 0;
    }
    leftovers += static_cast<int>(left_in_shm().size()) + (process_left(mark) ? 1 : 0);
  }
  fmt::print(
      "{} runs under mpirun with a rank lost ({}): {} hangs, {} wrong results, {} leftovers; {} survivors "
      "named "
      "the rank, {} another one\n",
      runs, how, hangs, wrong, leftovers, named, others);
  // Over messages, a rank that stands still also holds up others, and it may be one of those that is named.
  EXPECT_EQ(hangs + wrong + leftovers, 0);
  if (how == "kill") {
    EXPECT_EQ(others, 0);
  }
  return named;
}

TEST_P(MpiFaults, CampaignOfKills) {
  const int named = lose_ranks("kill", 4, [this](const std::string& rest) { return command(rest); });
  // With messages alone, mpirun ends the job before a deadline can.
  if (GetParam() > 1) {
    EXPECT_GT(named, 0);
  }
}

TEST_P(MpiFaults, CampaignOfStops) {
  EXPECT_GT(lose_ranks("stop", 2, [this](const std::string& rest) { return command(rest); }), 0);
}

INSTANTIATE_TEST_SUITE_P(, MpiFaults, ::testing::Values(1024, 0, 2),
                         [](const auto& sharing) { return fmt::format("Sharing{}", sharing.param); });

}  // namespace
#endif
