#include "tutti/core/threads.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "core/parallel_for.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

using Piece = std::pair<std::int64_t, std::int64_t>;

// The number of threads is as before at the end of each.
class Threads : public ::testing::Test {
  const int before_ = num_threads();

 public:
  ~Threads() override { set_num_threads(before_); }
};

std::set<Piece> pieces_of(std::int64_t n, std::int64_t grain) {
  std::mutex mutex;
  std::set<Piece> pieces;
  parallel_for(n, grain, [&](std::int64_t first, std::int64_t last) {
    const std::lock_guard lock(mutex);
    EXPECT_TRUE(pieces.emplace(first, last).second) << "twice: " << first;
  });
  return pieces;
}

TEST_F(Threads, ShareALoopWhosePiecesDependOnItsSizesAlone) {
  for (const auto& [n, grain] : {Piece{0, 4}, {1, 4}, {4, 4}, {5, 4}, {1000, 1}, {1001, 7}}) {
    std::set<Piece> expected;
    for (std::int64_t i = 0; i < n; i += grain) expected.emplace(i, std::min(i + grain, n));
    for (int threads : {1, 2, 3, 8}) {
      set_num_threads(threads);
      for (int round = 0; round < 20; ++round) ASSERT_EQ(pieces_of(n, grain), expected) << threads;
    }
  }
}

TEST_F(Threads, WorkBesideEachOther) {
  set_num_threads(3);
  std::atomic<int> there = 0;
  parallel_for(3, 1, [&](std::int64_t, std::int64_t) {
    ++there;
    while (there < 3)
      std::this_thread::yield();  // for ever, where one thread takes one piece after the other
  });
  EXPECT_EQ(there, 3);
}

TEST_F(Threads, OneErrorReachesTheCallerAndTheNextLoopIsWhole) {
  for (int threads : {1, 4}) {
    set_num_threads(threads);
    for (std::int64_t culprit : {0, 57, 99}) {
      const auto fail = [&](std::int64_t i, std::int64_t) {
        if (i == culprit) throw std::runtime_error("piece");
      };
      EXPECT_THROW(parallel_for(100, 1, fail), std::runtime_error);
      EXPECT_EQ(pieces_of(100, 1).size(), 100u);
    }
  }
}

TEST_F(Threads, MayBecomeMoreOrFewerBetweenAnyTwoLoops) {
  std::atomic<int> sum = 0;
  for (int round = 0; round < 600; ++round) {
    set_num_threads(1 + round % 4);
    parallel_for(3, 1, [&](std::int64_t, std::int64_t) { ++sum; });
  }
  EXPECT_EQ(sum, 1800);
}

TEST_F(Threads, APieceMaySplitItselfAgain) {
  set_num_threads(4);
  std::atomic<int> sum = 0;
  parallel_for(16, 1, [&](std::int64_t, std::int64_t) {
    parallel_for(100, 7,
                 [&](std::int64_t first, std::int64_t last) { sum += static_cast<int>(last - first); });
  });
  EXPECT_EQ(sum, 1600);
}

TEST_F(Threads, ServeSeveralCallersAtOnce) {
  set_num_threads(3);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&wrong] {
      for (int round = 0; round < 300; ++round) {
        std::vector<int> seen(500);
        parallel_for(500, 11, [&](std::int64_t first, std::int64_t last) {
          for (auto i = first; i < last; ++i) ++seen[static_cast<std::size_t>(i)];
        });
        for (int times : seen) wrong += times != 1;
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(Threads, AForkedChildHasItsOwn) {
  if (TEST_SLOWDOWN != 1)
    GTEST_SKIP() << "sanitizers start no threads in the child of a program with several";
  set_num_threads(3);
  ASSERT_EQ(pieces_of(100, 1).size(), 100u);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);
    std::atomic<int> there = 0;
    parallel_for(3, 1, [&](std::int64_t, std::int64_t) {
      ++there;
      while (there < 3) std::this_thread::yield();
    });
    ::_exit(there == 3 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(Threads, AreFrom1To1024) {
  for (int count : {-1, 0, 1025}) {
    EXPECT_THAT([count] { set_num_threads(count); },
                ::testing::ThrowsMessage<ConfigError>("set_num_threads: must be from 1 to 1024, got " +
                                                      std::to_string(count)));
  }
  set_num_threads(5);
  EXPECT_EQ(num_threads(), 5);
}

}  // namespace
}  // namespace tutti
