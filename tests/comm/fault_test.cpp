// Ranks that die, stall, leave, abort or call something else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <span>
#include <thread>

#include "processes.h"
#include "ranks.h"
#include "tutti/core/error.h"

namespace tutti::test {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

std::string reduce_for_ever(Communicator& comm) {
  std::vector<float> data(300'000);
  while (true) comm.all_reduce(data);
}

class Fault : public ::testing::Test {
 protected:
  ~Fault() override { EXPECT_THAT(left_in_shm(), IsEmpty()); }
};

TEST_F(Fault, AKilledRankIsNamedByTheOthers) {
  Processes ranks(4, reduce_for_ever);
  std::this_thread::sleep_for(500ms);
  ranks.signal(2, SIGKILL);
  const auto killed = std::chrono::steady_clock::now();
  for (const int rank : {0, 1, 3}) {
    EXPECT_THAT(ranks.report(rank),
                AllOf(StartsWith("CommError rank=2 all_reduce #"), HasSubstr("rank 2 died")));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - killed, 5s);  // the deadline is 5 minutes
}

TEST_F(Fault, AStoppedRankIsNamedByTheOthersAndLearnsOfItLater) {
  Processes ranks(3, [](Communicator& comm) {
    comm.set_timeout(700ms);
    return reduce_for_ever(comm);
  });
  std::this_thread::sleep_for(300ms);
  ranks.signal(1, SIGSTOP);
  for (const int rank : {0, 2}) {
    EXPECT_THAT(ranks.report(rank), AllOf(StartsWith("TimeoutError rank=1 all_reduce #"),
                                          HasSubstr("rank 1 has not arrived within 700 ms")));
  }
  ranks.signal(1, SIGCONT);
  EXPECT_THAT(ranks.report(1), StartsWith("TimeoutError rank=1 all_reduce #"));
}

// A rank that stands still in the middle of a collective and then goes on finds all that it waits for: the others have
// done their part before they gave up. But they may have taken their memory back.
TEST_F(Fault, WhoGoesOnAfterTheOthersGaveUpHearsOfIt) {
  constexpr std::size_t count = 1 << 20;
  const auto body = [](Communicator& comm) -> std::string {
    comm.set_timeout(300ms * TEST_SLOWDOWN);
    const auto size = static_cast<std::size_t>(comm.size());
    const auto memory = comm.allocate((size + 1) * count * sizeof(float));
    auto* const in = static_cast<float*>(memory.get());
    auto* const out = in + count;
    for (int step = 1;; ++step) {
      std::fill_n(in, count, static_cast<float>(step));
      comm.all_gather(std::span(in, count), std::span(out, size * count));
      const auto is_other = [step](float value) { return value != static_cast<float>(step); };
      if (std::any_of(out, out + size * count, is_other)) return "wrong result";
    }
  };
  for (int run = 0; run < 6; ++run) {
    Processes ranks(3, body);
    std::this_thread::sleep_for(60ms + run * 5ms);
    ranks.signal(1, SIGSTOP);
    for (const int rank : {0, 2}) EXPECT_THAT(ranks.report(rank), HasSubstr("Error rank=1"));
    ranks.signal(1, SIGCONT);
    EXPECT_THAT(ranks.report(1), HasSubstr("Error rank=1"));
  }
}

TEST_F(Fault, RanksThatNeverJoinAreNamed) {
  Processes ranks(
      4, {0, 3}, [](Communicator&) { return "joined"; }, 500ms);
  EXPECT_EQ(ranks.report(0), "TimeoutError rank=1 join #0: ranks 1, 2 have not arrived within 500 ms");
  EXPECT_THAT(ranks.report(3), StartsWith("TimeoutError rank=1 join #0: ranks 1, 2 have not"));
}

TEST_F(Fault, AMissingRankZeroIsNamed) {
  Processes ranks(
      2, {1}, [](Communicator&) { return "joined"; }, 300ms);
  EXPECT_EQ(ranks.report(1), "TimeoutError rank=0 join #0: rank 0 has not arrived within 300 ms");
}

TEST_F(Fault, ARankZeroKilledWhileOthersJoinLeavesNoFile) {
  Processes ranks(
      3, {0, 1}, [](Communicator&) { return "joined"; }, 10s);
  std::this_thread::sleep_for(500ms);
  ranks.signal(0, SIGKILL);
  EXPECT_THAT(ranks.report(1), AllOf(StartsWith("CommError rank=0 join #0: "), HasSubstr("rank 0 died")));
}

TEST_F(Fault, ARankThatEndsEarlyIsNamed) {
  Processes ranks(2, [](Communicator& comm) {
    if (comm.rank() == 1) return std::string("ended");
    comm.barrier();
    return std::string("no error");
  });
  EXPECT_EQ(ranks.report(0), "CommError rank=1 barrier #1: rank 1 has left the group");
}

TEST_F(Fault, ARankKilledBeforeItReceivesIsNamedByTheSender) {
  Processes ranks(2, [](Communicator& comm) {
    const std::vector<float> data(1'000'000);
    if (comm.rank() == 0)
      comm.send(data, 1);
    else
      ::raise(SIGKILL);
    return std::string("no error");
  });
  EXPECT_THAT(ranks.report(0), AllOf(StartsWith("CommError rank=1 send #1"), HasSubstr("rank 1 died")));
}

// Rank 2 has sent all it had to, while rank 0 still waits for rank 1 to take what is for it.
TEST(Leaving, AfterTheLastMessageIsNoFault) {
  const auto results = on_threads(3, [](Communicator& comm) -> std::string {
    std::vector<float> data(100'000), small(5);
    if (comm.rank() == 0) comm.send_recv(data, 1, small, 2);
    if (comm.rank() == 1) {
      std::this_thread::sleep_for(200ms);
      comm.recv(data, 0);
    }
    if (comm.rank() == 2) comm.send(small, 0);
    return "fine";
  });
  EXPECT_THAT(results, Each("fine"));
}

TEST_F(Fault, AnAbortReachesRanksThatWait) {
  Processes ranks(3, [](Communicator& comm) {
    if (comm.rank() != 1) return reduce_for_ever(comm);
    comm.abort("the disk is full");
    comm.barrier();
    return std::string("no error");
  });
  for (const int rank : {0, 2}) {
    EXPECT_THAT(ranks.report(rank), AllOf(StartsWith("CommError rank=1 all_reduce #1: "),
                                          HasSubstr("rank 1 aborted the group: the disk is full")));
  }
  EXPECT_THAT(ranks.report(1), StartsWith("CommError rank=1 barrier #1: "));
}

TEST_F(Fault, AGroupOutlivesItsParentsMember) {
  Processes ranks(3, [](Communicator& comm) {
    Communicator pair = comm.split(comm.rank() == 2 ? 1 : 0);
    if (comm.rank() == 2) ::raise(SIGKILL);
    std::vector<float> data(5, 1.0f);
    for (int i = 0; i < 100; ++i) pair.broadcast(data);
    return std::string("fine");
  });
  EXPECT_EQ(ranks.report(0), "fine");
  EXPECT_EQ(ranks.report(1), "fine");
}

// On threads: what needs no process.

std::vector<std::string> errors_on_threads(int size, const std::function<void(Communicator&)>& body) {
  return on_threads(size, [&](Communicator& comm) -> std::string {
    comm.set_timeout(5s);
    try {
      body(comm);
    } catch (const CommError& error) {
      return std::to_string(error.rank()) + " " + error.what();
    }
    return "no error";
  });
}

TEST(Mismatch, AnotherCollectiveIsNamedOnEveryRank) {
  const auto errors = errors_on_threads(4, [](Communicator& comm) {
    std::vector<float> data(10);
    comm.barrier();
    if (comm.rank() == 2)
      comm.broadcast(data, 1);
    else
      comm.all_reduce(data);
  });
  const auto* what = "rank 2 called broadcast(f32[10], root 1), rank 0 called all_reduce(f32[10], sum)";
  EXPECT_EQ(errors[0], std::string("2 all_reduce #2: ") + what);
  EXPECT_EQ(errors[2], std::string("2 broadcast #2: ") + what);
  EXPECT_THAT(errors, Each(AllOf(StartsWith("2 "), HasSubstr(what))));
}

struct Difference {
  const char* name;
  std::function<void(Communicator&, bool odd)> call;
  const char* text;
};

class MismatchOf : public ::testing::TestWithParam<Difference> {};

TEST_P(MismatchOf, IsNamedOnEveryRank) {
  const auto errors =
      errors_on_threads(3, [](Communicator& comm) { GetParam().call(comm, comm.rank() == 1); });
  EXPECT_THAT(errors, Each(AllOf(StartsWith("1 "), HasSubstr(GetParam().text))));
}

INSTANTIATE_TEST_SUITE_P(, MismatchOf,
                         ::testing::Values(Difference{"Count",
                                                      [](Communicator& comm, bool odd) {
                                                        std::vector<float> data(odd ? 9 : 10);
                                                        comm.all_reduce(data);
                                                      },
                                                      "rank 1 called all_reduce(f32[9], sum)"},
                                           Difference{"LargeCount",
                                                      [](Communicator& comm, bool odd) {
                                                        std::vector<float> data(odd ? 1 : 100'000);
                                                        comm.all_reduce(data);
                                                      },
                                                      "rank 1 called all_reduce(f32[1], sum)"},
                                           Difference{"DType",
                                                      [](Communicator& comm, bool odd) {
                                                        std::vector<float> floats(10);
                                                        std::vector<std::int32_t> ints(10);
                                                        comm.all_reduce(odd ? BufferView(ints)
                                                                            : BufferView(floats));
                                                      },
                                                      "rank 1 called all_reduce(i32[10], sum)"},
                                           Difference{"Op",
                                                      [](Communicator& comm, bool odd) {
                                                        std::vector<float> data(10);
                                                        comm.all_reduce(data,
                                                                        odd ? ReduceOp::max : ReduceOp::sum);
                                                      },
                                                      "rank 1 called all_reduce(f32[10], max)"},
                                           Difference{"Root",
                                                      [](Communicator& comm, bool odd) {
                                                        std::vector<float> data(10);
                                                        comm.broadcast(data, odd ? 2 : 0);
                                                      },
                                                      "rank 1 called broadcast(f32[10], root 2)"}),
                         [](const auto& info) { return info.param.name; });

TEST(Mismatch, OfMessagesIsNamedOnBothSides) {
  const auto errors = errors_on_threads(2, [](Communicator& comm) {
    std::vector<float> data(comm.rank() == 0 ? 10 : 11);
    if (comm.rank() == 0)
      comm.send(data, 1);
    else
      comm.recv(data, 0);
    comm.barrier();
  });
  EXPECT_THAT(errors, Each(HasSubstr("rank 0 sent f32[10] as message 1, rank 1 expects f32[11]")));
}

TEST(Deadline, OfACallIsItsOwn) {
  on_threads(2, [](Communicator& comm) -> std::string {
    if (comm.rank() == 1) return std::this_thread::sleep_for(1s), "late";
    const auto begin = std::chrono::steady_clock::now();
    std::vector<float> data(3);
    try {
      comm.recv(data, 1, {.timeout = 100ms});
      ADD_FAILURE() << "no error";
    } catch (const TimeoutError& error) {
      EXPECT_EQ(error.rank(), 1);
      EXPECT_EQ(error.sequence(), 1u);
      EXPECT_EQ(error.collective(), "recv");
      const auto waited = std::chrono::steady_clock::now() - begin;
      EXPECT_GE(waited, 100ms);
      EXPECT_LT(waited, 900ms);
    }
    return "";
  });
}

// Rank 1 waits as well, and is not to blame.
TEST(Deadline, NamesTheRankForWhichAllWait) {
  for (const bool by_message : {true, false}) {
    const auto results = on_threads(3, [=](Communicator& comm) -> std::string {
      std::vector<float> data(3);
      if (comm.rank() == 2) return std::this_thread::sleep_for(1s * TEST_SLOWDOWN), "late";
      comm.set_timeout((comm.rank() == 0 ? 300ms : 30s) * TEST_SLOWDOWN);
      if (comm.rank() == 1)
        comm.recv(data, 2);
      else if (by_message)
        comm.recv(data, 1);
      else
        comm.barrier();
      return "no error";
    });
    EXPECT_THAT(results[0], HasSubstr(" #1: rank 2 has not arrived within "));
    EXPECT_THAT(results[1], HasSubstr("rank 2 has not arrived within "));
  }
}

TEST(Deadline, MayBeNever) {
  for (const auto timeout : {std::chrono::milliseconds::max(), std::chrono::milliseconds::max() / 3}) {
    const auto results = on_threads(2, [timeout](Communicator& comm) -> std::string {
      comm.set_timeout(timeout);
      if (comm.rank() == 1) std::this_thread::sleep_for(50ms);
      comm.barrier();
      return "met";
    });
    EXPECT_THAT(results, Each("met"));
  }
}

TEST(Abort, FromAnotherThreadEndsAWait) {
  auto results = on_threads(2, [](Communicator& comm) -> std::string {
    if (comm.rank() == 1) return std::this_thread::sleep_for(300ms), "";
    std::thread watchdog([&] {
      std::this_thread::sleep_for(50ms);
      comm.abort("enough");
    });
    std::string text = "no error";
    try {
      comm.barrier();
    } catch (const CommError& error) {
      text = error.what();
    }
    watchdog.join();
    return text;
  });
  EXPECT_EQ(results[0], "barrier #1: rank 0 aborted the group: enough");
}

TEST(Abort, ASingleRankKeepsIt) {
  Communicator comm;
  comm.abort("enough");
  EXPECT_THROW(comm.barrier(), CommError);
}

}  // namespace
}  // namespace tutti::test
