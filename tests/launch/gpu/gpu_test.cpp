// Collectives of tensors on GPUs between processes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/shell.h"

namespace tutti::test {
namespace {

TEST(GpuCollectives, OfTuttiRunsRanksGiveTheBitsOfTheCpu) {
  const auto result = shell(TUTTI_RUN " -n 3 --no-tag " GPU, 60);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, "3 ranks over shm\n");
}

#ifdef MPIRUN
// By shared memory, and by messages alone.
TEST(GpuCollectives, OfMpirunsRanksGiveTheBitsOfTheCpu) {
  for (const int sharing : {1024, 0}) {
    const auto result = shell(fmt::format("TUTTI_MPI_SHARED_MEMORY={} " MPIRUN " -n 2 " GPU, sharing), 60);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.out, "2 ranks over mpi\n");
  }
}
#endif

}  // namespace
}  // namespace tutti::test
