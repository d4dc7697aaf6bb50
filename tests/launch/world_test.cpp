// The same program alone, under tutti-run and under mpirun.
#include "tutti/comm/world.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/support/shell.h"

namespace {

using namespace tutti::test;

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(World, IsOneRankWithoutALauncher) {
  const auto result = shell(PROBE " place");
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out, "0: of 1, local 0 of 1, self, sum 1\n");
  EXPECT_EQ(result.err, "");
}

TEST(World, JoinsTheRanksOfTuttiRun) {
  const auto result = shell(TUTTI_RUN " -n 3 --no-tag " PROBE " place");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.sorted_lines(),
              ElementsAre("0: of 3, local 0 of 3, shm, sum 6", "1: of 3, local 1 of 3, shm, sum 6",
                          "2: of 3, local 2 of 3, shm, sum 6"));
}

TEST(World, IsOneRankUnderTuttiRunWithOne) {
  EXPECT_EQ(shell(TUTTI_RUN " -n 1 " PROBE " place").out, "0: of 1, local 0 of 1, self, sum 1\n");
}

TEST(World, KeepsRunsApart) {
  const auto result = shell("for i in 1 2 3; do " TUTTI_RUN " -n 2 --no-tag " PROBE " place & done; wait");
  EXPECT_THAT(result.sorted_lines().size(), 6u);
  for (const auto& line : result.sorted_lines()) EXPECT_THAT(line, HasSubstr("shm, sum 3"));
}

TEST(World, SplitsByColorAndKey) {
  EXPECT_THAT(shell(TUTTI_RUN " -n 4 --no-tag " PROBE " split").sorted_lines(),
              ElementsAre("0: 1 of 2: 2 0", "1: 1 of 2: 3 1", "2: 0 of 2: 2 0", "3: 0 of 2: 3 1"));
}

TEST(World, RaisesForADeadRankAndNamesIt) {
  const auto result = shell("TUTTI_TIMEOUT=2 " TUTTI_RUN " -n 3 --no-tag " PROBE " die 1", 20);
  EXPECT_EQ(result.code, 137);
  // The others may have ended by themselves before tutti-run looks.
  const std::string said = "tutti-run: rank 1 was killed by signal 9 (Killed)";
  EXPECT_THAT(result.err, AnyOf(said + "; ending the others\n", said + "\n"));
  EXPECT_THAT(result.sorted_lines(),
              ElementsAre(AllOf(StartsWith("0: "), HasSubstr("Error for rank 1: barrier")),
                          AllOf(StartsWith("2: "), HasSubstr("Error for rank 1: barrier"))));
}

TEST(World, RaisesForARankThatDoesNotCome) {
  const auto result = shell("TUTTI_TIMEOUT=2 " TUTTI_RUN " -n 3 --no-tag " PROBE " absent 1", 20);
  EXPECT_THAT(result.sorted_lines(), ElementsAre(StartsWith("0: TimeoutError for rank 1: barrier"),
                                                 StartsWith("2: TimeoutError for rank 1: barrier")));
}

TEST(World, RaisesWhenFewerRanksStartThanAsked) {
  const auto result = shell("export TUTTI_WORLD_SIZE=3 TUTTI_JOB=few-$$ TUTTI_TIMEOUT=3; TUTTI_RANK=0 " PROBE
                            " & TUTTI_RANK=2 " PROBE " & wait",
                            20);
  const auto lines = result.sorted_lines();
  ASSERT_EQ(lines.size(), 2u);
  for (const auto& line : lines) EXPECT_THAT(line, HasSubstr("rank 1"));
}

TEST(World, NamesAWrongVariable) {
  const auto result = shell("TUTTI_BACKEND=fast " PROBE);
  EXPECT_EQ(result.code, 6);
  EXPECT_EQ(result.out, "World: TUTTI_BACKEND=fast: must be self, shm, mpi or nccl\n");
}

TEST(World, HasAsManyLogicalRanksAsTheNextPowerOfTwo) {
  EXPECT_EQ(shell(PROBE " logical").out, "0: 1 from 0 of 1\n");
  EXPECT_THAT(shell(TUTTI_RUN " -n 3 --no-tag " PROBE " logical").sorted_lines(),
              ElementsAre("0: 1 from 0 of 4", "1: 1 from 1 of 4", "2: 2 from 2 of 4"));
}

TEST(World, HasTheLogicalRanksThatTheProgramOrTheUserAsksFor) {
  EXPECT_EQ(shell("TUTTI_LOGICAL_RANKS=8 " PROBE " logical").out, "0: 8 from 0 of 8\n");
  EXPECT_THAT(shell("TUTTI_LOGICAL_RANKS=8 " TUTTI_RUN " -n 2 --no-tag " PROBE " logical").sorted_lines(),
              ElementsAre("0: 4 from 0 of 8", "1: 4 from 4 of 8"));
  EXPECT_EQ(shell(PROBE " logical 6").out, "0: 6 from 0 of 6\n");
  EXPECT_EQ(shell("TUTTI_LOGICAL_RANKS=8 " PROBE " logical 6").out, "0: 6 from 0 of 6\n");
}

TEST(World, RefusesFewerLogicalRanksThanRanks) {
  const auto asked = shell("TUTTI_LOGICAL_RANKS=2 " TUTTI_RUN " -n 3 --no-tag " PROBE " logical");
  EXPECT_EQ(asked.code, 6);
  EXPECT_THAT(asked.sorted_lines(),
              Each("World: TUTTI_LOGICAL_RANKS=2: must be at least the number of ranks, 3"));
  const auto given = shell(TUTTI_RUN " -n 3 --no-tag " PROBE " logical 2");
  EXPECT_EQ(given.code, 6);
  EXPECT_THAT(given.out,
              HasSubstr("logical ranks: each rank has at least one, so 2 of them serve at most 2"));
  EXPECT_THAT(shell(PROBE " logical -4").out, HasSubstr("logical ranks: each rank has at least one"));
}

TEST(World, DoesNotChangeTheBitsOfAProduct) {
  const auto alone = shell("unset OMP_NUM_THREADS OPENBLAS_NUM_THREADS; " PROBE " product").out;
  ASSERT_THAT(alone, StartsWith("0: "));
  const auto bits = alone.substr(3, alone.find('\n') - 3);
  for (const char* threads : {"unset OMP_NUM_THREADS; ", "export OMP_NUM_THREADS=3; "}) {
    const std::string environment = std::string("unset OPENBLAS_NUM_THREADS; ") + threads;
    EXPECT_EQ(shell(environment + PROBE " product").out, "0: " + bits + "\n") << threads;
    EXPECT_EQ(shell(environment + TUTTI_RUN " -n 1 " PROBE " product").out, "0: " + bits + "\n") << threads;
    EXPECT_THAT(shell(environment + TUTTI_RUN " -n 2 --no-tag " PROBE " product").sorted_lines(),
                ElementsAre("0: " + bits, "1: " + bits))
        << threads;
  }
}

TEST(World, RanksDivideTheCores) {
  const std::string unset = "unset TUTTI_THREADS; ";
  const std::string one_core = unset + "taskset -c $(taskset -pc $$ | sed 's/.*: //; s/[,-].*//') ";
  EXPECT_EQ(shell(unset + "[ \"$(" PROBE " threads)\" = \"0: $(nproc)\" ]").code, 0);
  EXPECT_EQ(shell(one_core + PROBE " threads").out, "0: 1\n");
  EXPECT_THAT(shell(one_core + TUTTI_RUN " -n 2 --no-tag " PROBE " threads").sorted_lines(),
              ElementsAre("0: 1", "1: 1"));
  EXPECT_THAT(shell("TUTTI_THREADS=3 " TUTTI_RUN " -n 2 --no-tag " PROBE " threads").sorted_lines(),
              ElementsAre("0: 3", "1: 3"));
  for (const char* wrong : {"0", "-1", "2x", "1025", "''"}) {
    const auto result = shell(std::string("TUTTI_THREADS=") + wrong + " " PROBE " threads");
    EXPECT_EQ(result.code, 6) << wrong;
    EXPECT_THAT(result.out, HasSubstr("must be a whole number from 1 to 1024")) << wrong;
  }
}

TEST(World, SaysWhatItLacksForNccl) {
  if (tutti::Device::has_cuda()) GTEST_SKIP() << "this machine has a GPU";
  const auto result = shell("TUTTI_BACKEND=nccl " TUTTI_RUN " -n 2 --no-tag " PROBE " place");
  EXPECT_EQ(result.code, 6);
  EXPECT_THAT(result.sorted_lines(), Each(StartsWith("World: TUTTI_BACKEND=nccl")));
  EXPECT_EQ(result.sorted_lines().size(), 2u);
}

#ifndef MPIRUN
TEST(World, IsNeverManyRanksZero) {
  const auto result = shell("OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2 " PROBE);
  EXPECT_EQ(result.code, 6);
  EXPECT_THAT(result.out, HasSubstr("mpirun started 2 ranks, but this Tutti was built without MPI"));
}
#endif

}  // namespace
