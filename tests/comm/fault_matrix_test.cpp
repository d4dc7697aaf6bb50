// Every fault in every collective, with buffers of each kind.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "fault_case.h"
#include "processes.h"
#include "ranks.h"
#include "tutti/core/error.h"

namespace tutti::test {
namespace {

using namespace std::chrono_literals;
using ::testing::AnyOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int ranks = 3;
constexpr std::size_t few = 5, many = 100'000;  // the latter in several pieces

std::vector<FaultCase> cases_of(Fault fault, const Operation& operation) {
  static int count = 0;  // so that each rank has its turn
  std::vector<FaultCase> cases;
  for (const auto& [elements, registered] :
       {std::pair(few, false), std::pair(many, false), std::pair(many, true)}) {
    const FaultCase made{fault, &operation, elements, registered, count++ % ranks};
    if (made.makes_sense() && (cases.empty() || operation.has_elements)) cases.push_back(made);
  }
  return cases;
}

class Running {
 public:
  explicit Running(const FaultCase& fault)
      : case_(fault),
        processes_(ranks, [this](Communicator& comm) { return run_fault(comm, case_, board_); }) {}

  // Once all ranks are at it: when it was.
  std::int64_t signal(int number, std::chrono::microseconds delay) {
    board_.wait_for(ranks, 3);
    std::this_thread::sleep_for(delay);
    const auto now = nanoseconds_now();
    processes_.signal(case_.culprit, number);
    return now;
  }

  void expect_fine() {
    for (int rank = 0; rank < ranks; ++rank) {
      if (rank != case_.culprit || case_.everyone_survives()) {
        EXPECT_EQ(processes_.report(rank), "fine") << case_.str() << ", rank " << rank;
      }
    }
  }

  // How long after `then` the survivors knew.
  std::vector<double> milliseconds_since(std::int64_t then) const {
    std::vector<double> times;
    for (int rank = 0; rank < ranks; ++rank) {
      if (rank != case_.culprit) times.push_back(static_cast<double>(board_[rank].failed_at - then) / 1e6);
    }
    return times;
  }

 private:
  FaultCase case_;
  Board board_;
  Processes processes_;
};

class Signals : public ::testing::Test {
 protected:
  ~Signals() override { EXPECT_THAT(left_in_shm(), IsEmpty()); }
};

class FaultMatrix : public Signals, public ::testing::WithParamInterface<Fault> {};
class FaultMatrixOfThreads : public ::testing::TestWithParam<Fault> {};

TEST_F(Signals, AKilledRankIsNamedAtOnce) {
  std::vector<double> times;
  for (const auto& operation : operations()) {
    for (const auto& fault : cases_of(Fault::killed, operation)) {
      Running running(fault);
      const auto then = running.signal(SIGKILL, std::chrono::microseconds(times.size() * 137 % 2000));
      running.expect_fine();
      const auto some = running.milliseconds_since(then);
      times.insert(times.end(), some.begin(), some.end());
    }
  }
  std::sort(times.begin(), times.end());
  const double median = times[times.size() / 2], late = times[times.size() * 99 / 100];
  fmt::print("named after {:.1f} ms (median), {:.1f} ms (p99), {:.1f} ms (the latest of {})\n", median, late,
             times.back(), times.size());
  EXPECT_LT(median, 100 * TEST_SLOWDOWN);
  EXPECT_LT(times.back(), 5000 * TEST_SLOWDOWN);  // where the machine has other things to do
}

TEST_F(Signals, AStoppedRankIsNamedAtTheDeadline) {
  for (const auto& operation : operations()) {
    std::vector<std::unique_ptr<Running>> all;
    for (const auto& fault : cases_of(Fault::stopped, operation)) {
      all.push_back(std::make_unique<Running>(fault));
      all.back()->signal(SIGSTOP, std::chrono::microseconds(all.size() * 137));
    }
    for (auto& running : all) running->expect_fine();
  }
}

TEST_P(FaultMatrix, OfProcesses) {
  for (const auto& operation : operations()) {
    std::vector<std::unique_ptr<Running>> all;
    for (const auto& fault : cases_of(GetParam(), operation)) all.push_back(std::make_unique<Running>(fault));
    for (auto& running : all) running->expect_fine();
  }
}

void expect_on_threads(const FaultCase& fault) {
  const Board board;
  const auto results = on_threads(ranks, [&](Communicator& comm) { return run_fault(comm, fault, board); });
  const bool refused = fault.fault == Fault::null_buffer || fault.fault == Fault::overlap;
  for (int rank = 0; rank < ranks; ++rank) {
    const auto& result = results[static_cast<std::size_t>(rank)];
    if (refused && rank == fault.culprit)
      EXPECT_THAT(result, AnyOf(EndsWith("must not overlap"), HasSubstr("is null, but has"))) << fault.str();
    else
      EXPECT_EQ(result, "fine") << fault.str() << ", rank " << rank;
  }
}

TEST_P(FaultMatrixOfThreads, IsNamedToEverySurvivor) {
  for (const auto& operation : operations()) {
    std::vector<std::thread> all;
    for (const auto& fault : cases_of(GetParam(), operation)) all.emplace_back(expect_on_threads, fault);
    for (auto& thread : all) thread.join();
  }
}

const auto faults_of_threads = ::testing::Values(
    Fault::throws, Fault::absent, Fault::aborts, Fault::other_collective, Fault::other_count,
    Fault::other_dtype, Fault::other_op, Fault::other_root, Fault::null_buffer, Fault::overlap);

// A thread cannot exit alone.
INSTANTIATE_TEST_SUITE_P(OfProcessesAlone, FaultMatrix, ::testing::Values(Fault::exits),
                         [](const auto& info) { return name_of(info.param); });
INSTANTIATE_TEST_SUITE_P(, FaultMatrix, faults_of_threads,
                         [](const auto& info) { return name_of(info.param); });
INSTANTIATE_TEST_SUITE_P(, FaultMatrixOfThreads, faults_of_threads,
                         [](const auto& info) { return name_of(info.param); });

}  // namespace
}  // namespace tutti::test
