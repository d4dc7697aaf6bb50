// Survivors go on in a group of their own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <thread>

#include "processes.h"
#include "ranks.h"
#include "tutti/core/error.h"

namespace tutti::test {
namespace {

using namespace std::chrono_literals;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// Sums ones until a rank is lost, then goes on without it until `last` ranks are left; tells each size and sum.
std::string sum_and_shrink(Communicator& world, int last) {
  std::string story;
  Communicator* group = &world;
  std::vector<Communicator> groups;
  groups.reserve(8);
  while (true) {
    try {
      for (int i = 0; group->size() > last || i < 100; ++i) {
        std::vector<float> data(50'000, 1.0f);
        group->all_reduce(data);
        if (data.back() != static_cast<float>(group->size())) return "wrong sum";
      }
      return story + "done as " + std::to_string(group->rank()) + " of " + std::to_string(group->size());
    } catch (const CommError& error) {
      story += "lost " + std::to_string(error.rank()) + ", ";
      groups.push_back(group->shrink());
      group = &groups.back();
      group->set_timeout(world.timeout());
    }
  }
}

TEST(Shrink, SurvivorsOfTwoDeathsGoOn) {
  Processes ranks(4, [](Communicator& world) { return sum_and_shrink(world, 2); });
  std::this_thread::sleep_for(300ms);
  ranks.signal(1, SIGKILL);
  std::this_thread::sleep_for(500ms);
  ranks.signal(0, SIGKILL);
  EXPECT_EQ(ranks.report(2), "lost 1, lost 0, done as 0 of 2");
  EXPECT_EQ(ranks.report(3), "lost 1, lost 0, done as 1 of 2");
  EXPECT_THAT(left_in_shm(), IsEmpty());
}

TEST(Shrink, EachCallGivesAGroupOfItsOwn) {
  Processes ranks(3, [](Communicator& world) -> std::string {
    world.set_timeout(10s);
    auto first = world.shrink(), second = world.shrink(), third = second.shrink();
    for (auto* group : {&third, &first, &second, &world}) {
      std::vector<float> data(1000, 1.0f);
      group->all_reduce(data);
      if (data.back() != 3) return "wrong sum";
    }
    return "done";
  });
  for (int rank = 0; rank < 3; ++rank) EXPECT_EQ(ranks.report(rank), "done");
}

TEST(Shrink, ARankKilledWhileItShrinksIsLeftOut) {
  for (int attempt = 0; attempt < 10; ++attempt) {
    Processes ranks(4, [attempt](Communicator& world) -> std::string {
      if (world.rank() == 3) ::raise(SIGKILL);
      if (world.rank() == 0) {
        std::thread([attempt] {
          std::this_thread::sleep_for(std::chrono::microseconds(attempt * 150));
          ::raise(SIGKILL);
        }).detach();
      }
      try {
        world.barrier();
      } catch (const CommError&) {
      }
      // Rank 0 may be killed before, in, or after it: then the new group has it, and loses it.
      auto group = world.shrink();
      std::int32_t size = 1;
      try {
        while (group.size() > 2) group.all_reduce(std::span(&size, 1));
      } catch (const CommError&) {
        group = group.shrink();
      }
      return std::to_string(group.rank()) + " of " + std::to_string(group.size());
    });
    EXPECT_EQ(ranks.report(1), "0 of 2");
    EXPECT_EQ(ranks.report(2), "1 of 2");
  }
  EXPECT_THAT(left_in_shm(), IsEmpty());
}

TEST(Shrink, ARankStoppedWhileItShrinksIsLeftOut) {
  for (int attempt = 0; attempt < 10; ++attempt) {
    Processes ranks(4, [attempt](Communicator& world) -> std::string {
      if (world.rank() == 3) ::raise(SIGKILL);
      world.set_timeout(300ms * TEST_SLOWDOWN);
      if (world.rank() == 0) {
        std::thread([attempt] {
          std::this_thread::sleep_for(std::chrono::microseconds(attempt * 150));
          ::raise(SIGSTOP);
        }).detach();
      }
      try {
        world.barrier();
      } catch (const CommError&) {
      }
      // Rank 0 may be stopped before, in, or after it: then the new group has it, and loses it.
      auto group = world.shrink();
      std::int32_t size = 1;
      try {
        while (group.size() > 2) group.all_reduce(std::span(&size, 1));
      } catch (const CommError&) {
        group = group.shrink();
      }
      return std::to_string(group.rank()) + " of " + std::to_string(group.size());
    });
    EXPECT_EQ(ranks.report(1), "0 of 2") << "attempt " << attempt;
    EXPECT_EQ(ranks.report(2), "1 of 2") << "attempt " << attempt;
  }
  EXPECT_THAT(left_in_shm(), IsEmpty());
}

TEST(Shrink, ARankThatStandsStillIsLeftOutAndTold) {
  Processes ranks(3, [](Communicator& world) -> std::string {
    world.set_timeout(400ms);
    std::vector<float> data(10);
    try {
      while (true) world.all_reduce(data);
    } catch (const CommError&) {
      auto group = world.shrink();
      group.all_reduce(data);
      return std::to_string(group.rank()) + " of " + std::to_string(group.size());
    }
  });
  std::this_thread::sleep_for(300ms);
  ranks.signal(1, SIGSTOP);
  EXPECT_EQ(ranks.report(0), "0 of 2");
  EXPECT_EQ(ranks.report(2), "1 of 2");
  ranks.signal(1, SIGCONT);
  EXPECT_THAT(ranks.report(1), HasSubstr("the other ranks have gone on without rank 1, which came too late"));
}

TEST(Shrink, OnThreads) {
  const auto results = on_threads(3, [](Communicator& world) -> std::string {
    if (world.rank() == 0) {
      Communicator leaves = std::move(world);
      return "left";
    }
    return sum_and_shrink(world, 2);
  });
  EXPECT_EQ(results[1], "lost 0, done as 0 of 2");
  EXPECT_EQ(results[2], "lost 0, done as 1 of 2");
}

TEST(Shrink, TheOldGroupStaysFailed) {
  const auto results = on_threads(2, [](Communicator& world) -> std::string {
    world.abort("enough");
    EXPECT_THROW(world.barrier(), CommError);
    auto group = world.shrink();
    EXPECT_THROW(world.barrier(), CommError);
    group.barrier();
    return std::to_string(group.size());
  });
  EXPECT_THAT(results, Each("2"));
}

TEST(Shrink, OfOneRank) {
  Communicator alone;
  alone.abort("enough");
  EXPECT_THROW(alone.barrier(), CommError);
  alone.shrink().barrier();
}

}  // namespace
}  // namespace tutti::test
