// World and its collectives under mpirun.
#ifdef MPIRUN
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>

#include "tests/support/shell.h"
#include "tutti/core/threads.h"

namespace {

using namespace tutti::test;

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// That of the programs which MPIRUN starts.
std::string environment() {
  const std::string mpirun = MPIRUN;
  return mpirun.substr(0, mpirun.rfind(' ') + 1);
}

// Ranks, and how many of them may share memory: all, none, or so many that they look like several machines.
struct Layout {
  int ranks;
  int sharing;
};

constexpr int all = 1024, none = 0;

std::string name_of(const ::testing::TestParamInfo<Layout>& layout) {
  return fmt::format("{}by{}", layout.param.ranks, layout.param.sharing);
}

TEST(Mpi, JoinsTheRanksOfMpirun) {
  const auto result = shell(MPIRUN " -n 3 " PROBE " place");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.sorted_lines(),
              ElementsAre("0: of 3, local 0 of 3, mpi, sum 6", "1: of 3, local 1 of 3, mpi, sum 6",
                          "2: of 3, local 2 of 3, mpi, sum 6"));
}

TEST(Mpi, RanksThatAreNotBoundDivideTheCores) {
  const int share = std::max(1, tutti::num_threads() / 2);
  EXPECT_THAT(shell("unset TUTTI_THREADS; " MPIRUN " --bind-to none -n 2 " PROBE " threads").sorted_lines(),
              ElementsAre(fmt::format("0: {}", share), fmt::format("1: {}", share)));
}

TEST(Mpi, CanBeReplacedByShm) {
  const auto result = shell("TUTTI_BACKEND=shm " MPIRUN " -n 2 " PROBE " place");
  EXPECT_THAT(result.sorted_lines(),
              ElementsAre("0: of 2, local 0 of 2, shm, sum 3", "1: of 2, local 1 of 2, shm, sum 3"));
}

TEST(Mpi, SplitsByColorAndKey) {
  EXPECT_THAT(shell(MPIRUN " -n 4 " PROBE " split").sorted_lines(),
              ElementsAre("0: 1 of 2: 2 0", "1: 1 of 2: 3 1", "2: 0 of 2: 2 0", "3: 0 of 2: 3 1"));
}

TEST(Mpi, LeavesTheApplicationsMpiAlone) {
  const auto result = shell(MPIRUN " -n 2 " OWN_MPI);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.sorted_lines(), ElementsAre("0: mpi 2", "0: mpi 2", "0: then alive 2", "1: mpi 2",
                                                 "1: mpi 2", "1: then alive 2"));
}

TEST(Mpi, ServesAnMpiProgramThatRunsAlone) {
  EXPECT_THAT(shell(environment() + OWN_MPI).sorted_lines(),
              ElementsAre("0: mpi 1", "0: mpi 1", "0: then alive 1"));
}

TEST(Mpi, TakesTheApplicationsCommunicatorUnderAnyThreadLevel) {
  for (const char* level : {"single", "funneled", "multiple"}) {
    for (const int sharing : {none, all}) {
      SCOPED_TRACE(fmt::format("{}, {}", level, sharing));
      const auto result = shell(
          fmt::format("TUTTI_MPI_SHARED_MEMORY={} " MPIRUN " -n 5 " OWN_COMM " {}", sharing, level), 30);
      EXPECT_EQ(result.code, 0) << result.err;
      EXPECT_THAT(
          result.sorted_lines(),
          ElementsAre("0: 1 of 2 over mpi: 1 0, sum 1 1, max 1", "1: 0 of 2 over mpi: 1 0, sum 1 1, max 1",
                      "2: 2 of 3 over mpi: 4 3 2, sum 9 9, max 4",
                      "3: 1 of 3 over mpi: 4 3 2, sum 9 9, max 4",
                      "4: 0 of 3 over mpi: 4 3 2, sum 9 9, max 4",
                      StartsWith("from_mpi: MPI must be running"), StartsWith("from_mpi: an MPI_Comm has "),
                      StartsWith("from_mpi: the communicator must be one group of ranks")));
    }
  }
}

TEST(Mpi, RefusesAnotherLaunchersRanks) {
  const auto result = shell(environment() + "TUTTI_BACKEND=mpi " TUTTI_RUN " -n 2 --no-tag " PROBE " place");
  EXPECT_EQ(result.code, 6);
  EXPECT_THAT(result.out, HasSubstr("World: tutti-run started 2 ranks, but MPI sees 1"));
}

TEST(Mpi, NamesARankThatDoesNotCome) {
  const auto result = shell("TUTTI_TIMEOUT=2 " MPIRUN " -n 3 " PROBE " absent 1", 30);
  EXPECT_NE(result.code, 0);
  EXPECT_NE(result.code, 124);
  // mpirun may end the second rank before it speaks.
  EXPECT_THAT(result.out,
              HasSubstr("TimeoutError for rank 1: barrier #1: rank 1 has not arrived within 2000 ms"));
}

TEST(Mpi, EndsWhenARankDies) {
  const auto result = shell("TUTTI_TIMEOUT=5 " MPIRUN " -n 3 " PROBE " die 1", 30);
  EXPECT_NE(result.code, 0);
  EXPECT_NE(result.code, 124);
}

TEST(Mpi, NamesTheRankThatCallsSomethingElse) {
  const auto result = shell(MPIRUN " -n 2 " PROBE " mismatch 1", 30);
  EXPECT_NE(result.code, 0);
  EXPECT_THAT(result.out, HasSubstr("all_reduce #1: rank "));
  EXPECT_THAT(result.out, HasSubstr("f32[10], sum)"));
  EXPECT_THAT(result.out, HasSubstr("f32[20], sum)"));
}

TEST(Mpi, CarriesAnAbortToThePeers) {
  const auto result = shell(MPIRUN " -n 2 " PROBE " abort 1", 30);
  EXPECT_THAT(result.sorted_lines(), ElementsAre(StartsWith("0: CommError for rank 1: barrier #2: ")));
  EXPECT_THAT(result.out, HasSubstr("out of paper"));
}

TEST(Mpi, AnAbortFromAnotherThreadEndsAWait) {
  const auto result = shell("TUTTI_TIMEOUT=20 " MPIRUN " -n 2 " PROBE " watchdog 0", 30);
  EXPECT_THAT(result.out, HasSubstr("0: CommError for rank 0: barrier #2: rank 0 aborted the group: enough"));
}

class MpiConformance : public ::testing::TestWithParam<Layout> {};

TEST_P(MpiConformance, IsThatOfEveryBackEnd) {
  const auto [ranks, sharing] = GetParam();
  const auto result =
      shell(fmt::format("TUTTI_MPI_SHARED_MEMORY={} " MPIRUN " -n {} " CONFORMANCE, sharing, ranks), 110);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, fmt::format("{} ranks over mpi\n", ranks));
}

INSTANTIATE_TEST_SUITE_P(OneMachine, MpiConformance,
                         ::testing::Values(Layout{1, all}, Layout{2, all}, Layout{3, all}, Layout{4, all},
                                           Layout{5, all}),
                         name_of);
INSTANTIATE_TEST_SUITE_P(MessagesAlone, MpiConformance,
                         ::testing::Values(Layout{1, none}, Layout{2, none}, Layout{3, none}, Layout{4, none},
                                           Layout{5, none}),
                         name_of);
// Nodes of two and four are subtrees of the sums; those of three are not; five ranks are no nodes of equal size. The
// tree over five nodes is not that over the next power of two.
INSTANTIATE_TEST_SUITE_P(SeveralNodes, MpiConformance,
                         ::testing::Values(Layout{4, 2}, Layout{6, 2}, Layout{6, 3}, Layout{8, 4},
                                           Layout{5, 2}, Layout{10, 2}),
                         name_of);

TEST(Mpi, ReducesInItsOwnOrderWhereAsked) {
  for (const auto& [ranks, sharing] : {Layout{2, none}, Layout{3, none}, Layout{4, 2}}) {
    const auto result =
        shell(fmt::format("TUTTI_MPI_SHARED_MEMORY={} " MPIRUN " -n {} " ANY_ORDER, sharing, ranks), 30);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.out, "");
  }
}

}  // namespace
#endif
