// World over several hosts: network namespaces of this machine, with a name and an address each.
#ifdef MPIRUN
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/launch/leftovers.h"

namespace {

using namespace tutti::test;

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Namespaces : public ::testing::Test {
 protected:
  // On hosts of so many ranks each: "3,2".
  static Result run(const std::string& ranks, const std::string& program, int seconds = 60) {
    const std::string mpirun = MPIRUN;
    const auto name = mpirun.rfind(' ');
    const auto hosts = unique_argument();
    const auto result = shell(fmt::format("MPIRUN={} {} " NAMESPACES " {} {} {}", mpirun.substr(name + 1),
                                          mpirun.substr(0, name), hosts, ranks, program),
                              seconds);
    EXPECT_NE(shell("ip netns list | grep ^" + hosts).code, 0) << "a namespace is left";
    EXPECT_FALSE(process_left(hosts));
    EXPECT_THAT(left_in_shm(), IsEmpty());
    return result;
  }
  static bool missing(const Result& result) { return result.code == 77; }
};

TEST_F(Namespaces, EachIsAHost) {
  const auto result = run("2,2", PROBE " place");
  if (missing(result)) GTEST_SKIP() << result.out;
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.sorted_lines(),
              ElementsAre("0: of 4, local 0 of 2, mpi, sum 10", "1: of 4, local 1 of 2, mpi, sum 10",
                          "2: of 4, local 0 of 2, mpi, sum 10", "3: of 4, local 1 of 2, mpi, sum 10"));
}

class NamespacesOf : public Namespaces, public ::testing::WithParamInterface<std::pair<const char*, int>> {};

// The suite holds every sum to the bits of the one tree, which are those of any other back end.
TEST_P(NamespacesOf, Conform) {
  const auto& [ranks, size] = GetParam();
  const auto result = run(ranks, CONFORMANCE, 100);
  if (missing(result)) GTEST_SKIP() << result.out;
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.out, fmt::format("{} ranks over mpi\n", size));
}

INSTANTIATE_TEST_SUITE_P(, NamespacesOf,
                         ::testing::Values(std::pair("2,2", 4), std::pair("1,1,1", 3), std::pair("3,2", 5)),
                         [](const auto& hosts) {
                           std::string name = hosts.param.first;
                           std::replace(name.begin(), name.end(), ',', '_');
                           return name;
                         });

TEST_F(Namespaces, ReduceInMpisOwnOrder) {
  const auto result = run("2,2", ANY_ORDER);
  if (missing(result)) GTEST_SKIP() << result.out;
  EXPECT_EQ(result.code, 0) << result.out << result.err;
}

TEST_F(Namespaces, NameARankThatDiesOnAnotherHost) {
  const auto result = run("2,2", "env TUTTI_TIMEOUT=5 " PROBE " die 3", 30);
  if (missing(result)) GTEST_SKIP() << result.out;
  EXPECT_NE(result.code, 0);
  EXPECT_NE(result.code, 124);
  EXPECT_THAT(result.out,
              HasSubstr(" for rank 3: barrier #2: rank 3, which is rank 1 on its machine, failed"));
}

TEST_F(Namespaces, NameARankThatDoesNotCome) {
  const auto result = run("2,2", "env TUTTI_TIMEOUT=2 " PROBE " absent 1", 30);
  if (missing(result)) GTEST_SKIP() << result.out;
  EXPECT_NE(result.code, 0);
  EXPECT_THAT(result.out,
              HasSubstr("TimeoutError for rank 1: barrier #1: rank 1 has not arrived within 2000 ms"));
}

}  // namespace
#endif
