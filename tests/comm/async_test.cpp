// Collectives that are started and waited for later.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

#include "processes.h"
#include "ranks.h"
#include "tests/support/message_of.h"
#include "tutti/comm/work.h"
#include "tutti/core/error.h"

namespace tutti::test {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;

constexpr std::size_t large = 200'000;

// The same on threads and on processes; `body` returns "fine" or what is wrong.
void expect_fine(int size, const std::function<std::string(Communicator&)>& body) {
  EXPECT_THAT(on_threads(size, body), Each("fine")) << "threads";
  Processes ranks(size, body);
  EXPECT_THAT(ranks.reports(), Each("fine")) << "shm";
}

bool all_are(const std::vector<float>& values, float value) {
  return std::all_of(values.begin(), values.end(), [&](float v) { return v == value; });
}

TEST(Async, WorksMayBeWaitedForInAnyOrder) {
  expect_fine(3, [](Communicator& comm) -> std::string {
    std::vector<std::vector<float>> data;
    std::vector<comm::Work> works;
    for (std::size_t i = 0; i < 30; ++i) {
      data.emplace_back(i % 3 == 0 ? large : i + 1, static_cast<float>(i));
      works.push_back(comm.all_reduce_async(data.back()));
    }
    // Each rank in another order.
    for (std::size_t i = 0; i < works.size(); ++i) {
      const std::size_t chosen = (i * 7 + static_cast<std::size_t>(comm.rank()) * 11) % works.size();
      works[chosen].wait();
      if (!all_are(data[chosen], 3.0f * static_cast<float>(chosen)))
        return fmt::format("wrong sum {}", chosen);
    }
    return "fine";
  });
}

TEST(Async, TheOrderIsThatOfTheCalls) {
  expect_fine(3, [](Communicator& comm) -> std::string {
    for (const std::size_t count : {std::size_t{3}, large}) {
      std::vector<float> data(count, static_cast<float>(comm.rank() + 1)), more = data;
      // Sum 6; then rank 1's 6 to all; then 18, and only then doubled by the blocking call's sum.
      auto sum = comm.all_reduce_async(data);
      auto same = comm.broadcast_async(data, 1);
      auto again = comm.all_reduce_async(data);
      auto copied = comm.all_reduce_async(data, more, ReduceOp::max);
      comm.all_reduce(more);
      if (!all_are(data, 18.0f) || !all_are(more, 54.0f)) return "wrong order";
      if (!sum.done() || !same.done() || !again.done() || !copied.done()) return "not done after a later one";
      copied.wait(), again.wait(), same.wait(), sum.wait();
    }
    return "fine";
  });
}

TEST(Async, EveryCollectiveHasTheForm) {
  expect_fine(2, [](Communicator& comm) -> std::string {
    const float mine = static_cast<float>(comm.rank());
    std::vector<float> one{mine}, two{mine, mine + 10}, sum(1), all(2), swapped(2), place{mine, mine},
        gathered(2), scattered(1);
    std::vector<comm::Work> works;
    works.push_back(comm.reduce_scatter_async(two, sum));
    works.push_back(comm.all_gather_async(one, all));
    works.push_back(comm.all_gather_async(place));
    works.push_back(comm.all_to_all_async(two, swapped));
    works.push_back(comm.gather_async(one, gathered, 1));
    works.push_back(comm.scatter_async(two, scattered, 1));
    works.push_back(comm.barrier_async());
    for (auto& work : works) work.wait();
    const std::vector<float> both{0, 1};
    const bool first = comm.rank() == 0;
    if (sum[0] != (first ? 1 : 21) || all != both || place != both) return "wrong";
    if (swapped != (first ? std::vector<float>{0, 1} : std::vector<float>{10, 11})) return "wrong all_to_all";
    if (!first && gathered != both) return "wrong gather";
    return scattered[0] == (first ? 1 : 11) ? "fine" : "wrong scatter";
  });
}

TEST(Async, AWaitThatTimesOutMayBeRepeated) {
  expect_fine(2, [](Communicator& comm) -> std::string {
    std::vector<float> data(10, 1.0f);
    if (comm.rank() == 1) std::this_thread::sleep_for(400ms * TEST_SLOWDOWN);
    auto work = comm.all_reduce_async(data);
    if (comm.rank() == 0) {
      if (work.done()) return "done before its peer came";
      try {
        work.wait(50ms);
        return "no error";
      } catch (const TimeoutError& error) {
        if (std::string_view(error.what()) != "all_reduce #1: not done within 50 ms; it goes on")
          return error.what();
      }
    }
    work.wait();
    if (!work.done() || !all_are(data, 2.0f)) return "wrong sum";
    comm.barrier();
    return "fine";
  });
}

TEST(Async, ManyWorks) {
  expect_fine(2, [](Communicator& comm) -> std::string {
    constexpr int count = 1000;
    std::vector<std::int32_t> data(count, 1);
    std::vector<comm::Work> works;
    for (auto& element : data) works.push_back(comm.all_reduce_async(std::span(&element, 1)));
    // The last one is done only when all are.
    works.back().wait();
    if (!std::all_of(works.begin(), works.end(), [](const auto& work) { return work.done(); }))
      return "not all done";
    return std::count(data.begin(), data.end(), 2) == count ? "fine" : "wrong sum";
  });
}

TEST(Async, AnErrorIsThatOfAllLaterOnes) {
  expect_fine(3, [](Communicator& comm) -> std::string {
    std::vector<float> data(10), other(11);
    auto good = comm.all_reduce_async(data);
    good.wait();
    // Rank 1 differs in the second.
    auto bad = comm.all_reduce_async(comm.rank() == 1 ? BufferView(other) : BufferView(data));
    // Refused at once where the failure is known already, else when it is waited for.
    comm::Work later, last;
    const auto first_error = message_of([&] { later = comm.broadcast_async(data); });
    const auto second_error = message_of([&] { last = comm.barrier_async(); });
    const auto what = message_of([&] { bad.wait(); });
    if (!what.starts_with("all_reduce #2: rank 1 called all_reduce(f32[11], sum)")) return what;
    const auto one_of_both = [](const std::string& at_once, comm::Work& work) {
      return at_once == "nothing was thrown" ? message_of([&] { work.wait(); }) : at_once;
    };
    if (const auto again = one_of_both(second_error, last); again != what) return "last " + again;
    if (const auto again = one_of_both(first_error, later); again != what) return "then " + again;
    if (const auto again = message_of([&] { comm.barrier(); }); again != what) return "blocking " + again;
    if (const auto again = message_of([&] {
          auto w = comm.barrier_async();
          w.wait();
        });
        again != what)
      return "new " + again;
    auto group = comm.shrink();
    group.all_reduce_async(data).wait();
    return group.size() == 3 ? "fine" : "not all are left";
  });
}

TEST(Async, ACommunicatorMayBeMovedMeanwhile) {
  expect_fine(2, [](Communicator& comm) -> std::string {
    std::vector<float> data(large, 1.0f);
    if (comm.rank() == 1) std::this_thread::sleep_for(50ms);
    auto work = comm.all_reduce_async(data);
    Communicator moved = std::move(comm);
    auto next = moved.all_reduce_async(data);
    comm = std::move(moved);
    comm.all_reduce(data);
    work.wait(), next.wait();
    return all_are(data, 8.0f) ? "fine" : "wrong sum";
  });
}

TEST(Async, ACommunicatorThatGoesFinishesWhatIsUnderWay) {
  expect_fine(2, [](Communicator& comm) -> std::string {
    std::vector<float> data(large, 1.0f);
    std::optional<Communicator> goes = std::move(comm);
    if (goes->rank() == 1) std::this_thread::sleep_for(50ms);
    auto work = goes->all_reduce_async(data);
    auto next = goes->all_reduce_async(data);
    goes.reset();
    if (!work.done() || !next.done()) return "not finished";
    next.wait(), work.wait();
    return all_are(data, 4.0f) ? "fine" : "wrong sum";
  });
}

TEST(Async, ACommunicatorThatGoesWaitsNoLongerThanTheDeadline) {
  const auto results = on_threads(2, [](Communicator& comm) -> std::string {
    if (comm.rank() == 1) return std::this_thread::sleep_for(900ms * TEST_SLOWDOWN), "late";
    std::vector<float> data(10);
    comm.set_timeout(100ms);
    std::vector<comm::Work> works;
    const auto begin = std::chrono::steady_clock::now();
    {
      Communicator goes = std::move(comm);
      for (int i = 0; i < 20; ++i) works.push_back(goes.all_reduce_async(data));
    }
    const auto waited = std::chrono::steady_clock::now() - begin;
    for (auto& work : works) {
      const auto what = message_of([&] { work.wait(); });
      if (what != "all_reduce #1: rank 1 has not arrived within 100 ms") return what;
    }
    return waited < 800ms * TEST_SLOWDOWN ? "fine" : "waited longer";
  });
  EXPECT_EQ(results[0], "fine");
}

TEST(Async, AHandleThatGoesWaits) {
  expect_fine(2, [](Communicator& comm) -> std::string {
    std::vector<float> data(large, 1.0f);
    { auto work = comm.all_reduce_async(data); }
    if (!all_are(data, 2.0f)) return "not waited for";
    auto work = comm.all_reduce_async(data);
    work = comm.all_reduce_async(data);
    work.wait_on(nullptr);
    return all_are(data, 8.0f) ? "fine" : "wrong sum";
  });
}

TEST(Async, AnAbortEndsWhatIsQueued) {
  const auto results = on_threads(2, [](Communicator& comm) -> std::string {
    std::vector<float> data(10);
    if (comm.rank() == 1) return std::this_thread::sleep_for(300ms * TEST_SLOWDOWN), "";
    auto first = comm.all_reduce_async(data);
    auto second = comm.all_reduce_async(data);
    comm.abort("enough");
    return message_of([&] { second.wait(); }) + "|" + message_of([&] { first.wait(); });
  });
  EXPECT_EQ(
      results[0],
      "all_reduce #1: rank 0 aborted the group: enough|all_reduce #1: rank 0 aborted the group: enough");
}

TEST(Async, ARefusedCallStartsNothing) {
  expect_fine(2, [](Communicator& comm) -> std::string {
    std::vector<float> data(3, 1.0f);
    auto work = comm.all_reduce_async(data);
    EXPECT_THROW(static_cast<void>(comm.broadcast_async(data, 2)), ShapeError);
    auto next = comm.all_reduce_async(data);
    next.wait(), work.wait();
    return all_are(data, 4.0f) ? "fine" : "wrong sum";
  });
}

TEST(Async, AGroupOfOne) {
  Communicator alone;
  std::vector<float> data(3, 1.0f);
  auto work = alone.all_reduce_async(data);
  work.wait(1ms * TEST_SLOWDOWN * 1000);
  EXPECT_THAT(data, Each(1.0f));
  EXPECT_TRUE(comm::Work().done());
}

}  // namespace
}  // namespace tutti::test
