#include <fmt/format.h>
#include <gmock/gmock.h>

#include <chrono>
#include <filesystem>

#include "tests/launch/leftovers.h"

namespace {

using namespace tutti::test;

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Result tutti_run(const std::string& arguments) { return shell(TUTTI_RUN " " + arguments); }

// Whether `pid` stays a live process, a zombie not counted.
bool stays_alive(const std::string& pid) {
  return stays([&] {
    const auto status = read_file("/proc/" + pid + "/stat");
    return !status.empty() && status.find(") Z ") == std::string::npos;
  });
}

TEST(TuttiRun, GivesEachRankItsPlace) {
  const auto result = tutti_run(
      R"(-n 3 --no-tag sh -c 'echo $TUTTI_RANK/$TUTTI_WORLD_SIZE $TUTTI_LOCAL_RANK/$TUTTI_LOCAL_SIZE')");
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.sorted_lines(), ElementsAre("0/3 0/3", "1/3 1/3", "2/3 2/3"));
  EXPECT_EQ(result.err, "");
}

TEST(TuttiRun, GivesOneJobNameToAllRanksAndAnotherToTheNextRun) {
  const std::string arguments = "-n 2 --no-tag sh -c 'echo $TUTTI_JOB'";
  const auto first = tutti_run(arguments).sorted_lines();
  const auto second = tutti_run(arguments).sorted_lines();
  ASSERT_EQ(first.size(), 2u);
  EXPECT_NE(first[0], "");
  EXPECT_EQ(first[0], first[1]);
  EXPECT_NE(first, second);
}

TEST(TuttiRun, SharesTheCoresUnlessToldOtherwise) {
  EXPECT_EQ(
      tutti_run("-n 512 --no-tag sh -c '[ $OMP_NUM_THREADS = 1 ] && [ $OPENBLAS_NUM_THREADS = 1 ]'").code, 0);
  EXPECT_EQ(tutti_run("-n 512 --no-tag sh -c '[ $TUTTI_THREADS = 1 ]'").code, 0);
  EXPECT_EQ(shell("TUTTI_THREADS=7 " TUTTI_RUN " -n 2 sh -c '[ $TUTTI_THREADS = 7 ]'").code, 0);
  EXPECT_EQ(shell("unset OMP_NUM_THREADS; " TUTTI_RUN " -n 1 sh -c '[ $OMP_NUM_THREADS = $(nproc) ]'").code,
            0);
  EXPECT_EQ(
      shell("unset OPENBLAS_NUM_THREADS; " TUTTI_RUN " -n 1 sh -c '[ $OPENBLAS_NUM_THREADS = 1 ]'").code, 0);
  EXPECT_EQ(shell("OPENBLAS_NUM_THREADS=7 " TUTTI_RUN " -n 2 sh -c '[ $OPENBLAS_NUM_THREADS = 7 ]'").code, 0);
  EXPECT_EQ(shell("OMP_NUM_THREADS=7 " TUTTI_RUN " -n 2 sh -c '[ $OMP_NUM_THREADS = 7 ]'").code, 0);
}

TEST(TuttiRun, PrefixesTheLinesOfTheOtherRanks) {
  const auto result = tutti_run("-n 2 sh -c 'echo out $TUTTI_RANK; echo err $TUTTI_RANK >&2'");
  EXPECT_THAT(result.sorted_lines(), ElementsAre("[1] out 1", "out 0"));
  EXPECT_THAT(result.err, HasSubstr("[1] err 1\n"));
}

TEST(TuttiRun, PrefixesAllLinesOrNone) {
  EXPECT_THAT(tutti_run("-n 2 --tag sh -c 'echo x'").sorted_lines(), ElementsAre("[0] x", "[1] x"));
  EXPECT_THAT(tutti_run("-n 2 --no-tag sh -c 'echo x'").sorted_lines(), ElementsAre("x", "x"));
  EXPECT_EQ(tutti_run("-n 1 sh -c 'printf x'").out, "x");
}

TEST(TuttiRun, KeepsLinesWholeHoweverTheyAreWritten) {
  const auto result = tutti_run(
      "-n 4 --tag sh -c 'for i in 1 2 3 4 5 6 7 8; do printf ab; sleep 0.01; printf \"cd\\n\"; done; printf "
      "end'");
  const auto lines = result.sorted_lines();
  ASSERT_EQ(lines.size(), 36u);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i], fmt::format("[{}] {}", i / 9, i % 9 == 8 ? "end" : "abcd"));
  }
}

TEST(TuttiRun, PassesOnLongLinesOfRank0AsTheyAre) {
  EXPECT_EQ(tutti_run("-n 2 sh -c '[ $TUTTI_RANK = 1 ] || head -c 3000000 /dev/zero' | wc -c").out,
            "3000000\n");
}

TEST(TuttiRun, TurnsAProgressBarIntoLines) {
  EXPECT_EQ(tutti_run(R"(-n 2 sh -c '[ $TUTTI_RANK = 0 ] || printf "\r10%%\r20%%\r\nend\r\n\n."')").out,
            "[1] 10%\n[1] 20%\n[1] end\n[1] \n[1] .\n");
}

TEST(TuttiRun, WritesAFileForEachRank) {
  const TemporaryDirectory directory;
  const auto logs = directory / "deep/logs";
  const auto result =
      tutti_run(fmt::format("-n 2 --output {} sh -c 'echo out; echo err $TUTTI_RANK >&2'", logs));
  EXPECT_EQ(result.code, 0);
  EXPECT_EQ(result.out + result.err, "");
  EXPECT_EQ(read_file(logs + "/rank-0.log"), "out\nerr 0\n");
  EXPECT_EQ(read_file(logs + "/rank-1.log"), "out\nerr 1\n");
}

TEST(TuttiRun, GivesStandardInputToRank0) {
  const auto result = shell("echo words | " TUTTI_RUN " -n 3 --tag cat");
  EXPECT_EQ(result.out, "[0] words\n");
}

TEST(TuttiRun, NeedsNoStandardInputItself) {
  const auto result = tutti_run("-n 2 --tag sh -c '[ $TUTTI_RANK = 0 ] || cat && echo ok' <&-");
  EXPECT_THAT(result.sorted_lines(), ElementsAre("[0] ok", "[1] ok"));
  EXPECT_EQ(result.err, "");
}

TEST(TuttiRun, LeavesTheProgramsOwnOptionsAlone) {
  EXPECT_EQ(tutti_run("-n 1 echo -n 3 --tag -- --help").out, "3 --tag -- --help");
  EXPECT_EQ(tutti_run("-n 1 -- echo -n -- 3").out, "-- 3");
}

TEST(TuttiRun, ReturnsTheFirstFailureAndEndsTheOthers) {
  const auto start = std::chrono::steady_clock::now();
  const auto result = tutti_run("-n 3 sh -c '[ $TUTTI_RANK = 1 ] && exit 7; sleep 50; exit 3'");
  EXPECT_EQ(result.code, 7);
  EXPECT_EQ(result.err, "tutti-run: rank 1 exited with code 7; ending the others\n");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(TuttiRun, ReportsTheSignalThatKilledARank) {
  const auto result = tutti_run("-n 2 sh -c '[ $TUTTI_RANK = 1 ] && kill -SEGV $$; exec sleep 50'");
  EXPECT_EQ(result.code, 128 + 11);
  EXPECT_EQ(result.err,
            "tutti-run: rank 1 was killed by signal 11 (Segmentation fault); ending the others\n");
}

// Rank 0 fails for its sake, and both have ended when tutti-run, which was stopped meanwhile, looks.
TEST(TuttiRun, NamesARankThatWasKilledBeforeOneThatFailed) {
  const TemporaryDirectory directory;
  const auto result =
      shell(fmt::format(
          "cd {}; " TUTTI_RUN " -n 2 sh -c 'echo $$ > .$TUTTI_RANK; mv .$TUTTI_RANK $TUTTI_RANK; "
          "while [ ! -e go ]; do sleep 0.05; done; [ $TUTTI_RANK = 1 ] && kill -KILL $$; exit 5' & "
          "while [ ! -e 0 -o ! -e 1 ]; do sleep 0.05; done; kill -STOP $!; touch go; "
          "for rank in 0 1; do until grep -q ') Z' /proc/$(cat $rank)/stat; do sleep 0.05; done; done; "
          "kill -CONT $!; wait $!",
          directory.path().string()));
  EXPECT_EQ(result.code, 128 + 9);
  EXPECT_EQ(result.err, "tutti-run: rank 1 was killed by signal 9 (Killed)\n");
}

TEST(TuttiRun, KillsARankThatDoesNotHearSigterm) {
  const auto result = tutti_run(
      "-n 2 --grace 0.2 sh -c 'trap \"\" TERM; [ $TUTTI_RANK = 0 ] && sleep 0.5 && exit 9; while true; do "
      "sleep 1; done'");
  EXPECT_EQ(result.code, 9);
}

TEST(TuttiRun, EndsWhatTheRanksStarted) {
  const TemporaryDirectory directory;
  const auto pid_file = directory / "pid";
  const auto result = tutti_run(fmt::format(
      "-n 2 sh -c 'if [ $TUTTI_RANK = 1 ]; then sleep 50 & echo $! > {0}.tmp; mv {0}.tmp {0}; wait; "
      "else while [ ! -e {0} ]; do sleep 0.05; done; exit 4; fi'",
      pid_file));
  EXPECT_EQ(result.code, 4);
  const auto pid = read_file(pid_file);
  EXPECT_FALSE(stays_alive(pid.substr(0, pid.size() - 1)));
}

TEST(TuttiRun, PassesSignalsOn) {
  for (const char* signal : {"INT", "TERM", "HUP", "USR1", "USR2"}) {
    const TemporaryDirectory directory;
    // Ranks tell that they listen by a file; a non-interactive shell starts "&" with SIGINT ignored, hence
    // env.
    const auto result =
        shell(fmt::format("cd {0}; env --default-signal=INT " TUTTI_RUN
                          " -n 2 --tag sh -c 'trap \"echo got {1}; exit 0\" {1}; "
                          "touch $TUTTI_RANK; while true; do sleep 0.05; done' & "
                          "while [ ! -e 0 -o ! -e 1 ]; do sleep 0.05; done; kill -{1} $!; wait $!",
                          directory.path().string(), signal));
    EXPECT_EQ(result.code, 0) << signal;
    EXPECT_THAT(result.sorted_lines(),
                ElementsAre(fmt::format("[0] got {}", signal), fmt::format("[1] got {}", signal)));
  }
}

TEST(TuttiRun, HearsSignalsWhileARankWritesWithoutEnd) {
  const auto result = shell("timeout -k 20 -s TERM 1 " TUTTI_RUN " -n 2 --tag yes > /dev/null; echo $?");
  EXPECT_EQ(result.out, "124\n");  // what timeout says of a program that ends by its signal
}

TEST(TuttiRun, ReturnsTheSignalThatEndedTheRun) {
  const TemporaryDirectory directory;
  const auto result =
      shell(fmt::format("cd {}; " TUTTI_RUN " -n 2 sh -c 'touch $TUTTI_RANK; exec sleep 50' & "
                        "while [ ! -e 0 -o ! -e 1 ]; do sleep 0.05; done; kill -TERM $!; wait $!",
                        directory.path().string()));
  EXPECT_EQ(result.code, 128 + 15);
}

TEST(TuttiRun, RanksAndWhatTheyStartedDieWithIt) {
  for (const char* ranks : {"echo $$ > pid.$TUTTI_RANK; touch $TUTTI_RANK; exec sleep 50",
                            "sleep 50 & echo $! > pid.$TUTTI_RANK; touch $TUTTI_RANK; wait"}) {
    const TemporaryDirectory directory;
    shell(fmt::format("cd {}; " TUTTI_RUN " -n 2 sh -c '{}' & "
                      "while [ ! -e 0 -o ! -e 1 ]; do sleep 0.05; done; kill -KILL $!; wait $!",
                      directory.path().string(), ranks));
    for (const std::string rank : {"0", "1"}) {
      const auto pid = read_file(directory / ("pid." + rank));
      ASSERT_NE(pid, "");
      EXPECT_FALSE(stays_alive(pid.substr(0, pid.size() - 1))) << rank << " of " << ranks;
    }
  }
}

TEST(TuttiRun, LeavesNoSharedMemoryOfRanksThatWereKilledWhileTheyJoined) {
  // Rank 0 waits for rank 1 in World, under a name in /dev/shm, when that one fails.
  const auto result = tutti_run(
      "-n 2 --no-tag sh -c 'name=/dev/shm/tutti-$TUTTI_JOB; [ $TUTTI_RANK = 0 ] && echo $name && exec " TRAIN
      "; while [ ! -e $name ]; do sleep 0.05; done; exit 3'");
  EXPECT_EQ(result.code, 3);
  const auto name = result.out.substr(0, result.out.find('\n'));
  EXPECT_THAT(name, HasSubstr("/dev/shm/tutti-"));
  EXPECT_FALSE(std::filesystem::exists(name));
}

TEST(TuttiRun, LeavesFilesAloneThatAreNamedLikeSharedMemoryOfRanks) {
  const std::string path = "/dev/shm/tutti-notes-of-a-user";
  write_file(path, "not a segment of ranks");
  EXPECT_EQ(tutti_run("-n 1 true").code, 0);
  EXPECT_EQ(read_file(path), "not a segment of ranks");
  std::filesystem::remove(path);
}

TEST(TuttiRun, SaysWhatIsWrongWithItsArguments) {
  const auto none = tutti_run("-n 2");
  EXPECT_EQ(none.code, 2);
  EXPECT_THAT(none.err, HasSubstr("A program to run is required"));
  const auto ranks = tutti_run("-n 0 true");
  EXPECT_EQ(ranks.code, 2);
  EXPECT_THAT(ranks.err, HasSubstr("--ranks"));
  const auto grace = tutti_run("-n 2 --grace 1e300 true");
  EXPECT_EQ(grace.code, 2);
  EXPECT_THAT(grace.err, HasSubstr("--grace"));
  const auto unknown = tutti_run("--rank 2 true");
  EXPECT_EQ(unknown.code, 2);
}

TEST(TuttiRun, NamesAProgramThatIsNotThere) {
  const auto missing = tutti_run("-n 2 ./not-there");
  EXPECT_EQ(missing.code, 127);
  EXPECT_EQ(missing.err, "tutti-run: cannot run ./not-there: No such file or directory\n");
  const auto no_program = tutti_run("-n 2 /etc/passwd");
  EXPECT_EQ(no_program.code, 126);
  EXPECT_THAT(no_program.err, HasSubstr("/etc/passwd: Permission denied"));
}

TEST(TuttiRun, NamesAnOutputDirectoryThatCannotBeMade) {
  const auto result = tutti_run("-n 2 --output /proc/logs echo ran");
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("/proc/logs"));
  EXPECT_THAT(result.out, Not(HasSubstr("ran")));
}

}  // namespace
