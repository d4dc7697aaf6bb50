// Which rank gets which GPU, and who is told when there are too few.
#include "comm/nccl.h"
#include "tests/nccl/gpu_ranks.h"
#include "tutti/core/error.h"

namespace tutti::test {
namespace {

// What each of two ranks gets: its GPU, or the message of its error.
std::vector<std::string> places() {
  auto ranks = comm::make_threads_backends(2);
  std::vector<std::string> results(2);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] {
      try {
        auto world = comm::make_nccl_world(std::move(ranks[i]), static_cast<int>(i), 20s * TEST_SLOWDOWN);
        results[i] = world.gpu.str();
      } catch (const Error& error) {
        results[i] = error.what();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  return results;
}

TEST_F(Nccl, EachRankGetsAGpu) { EXPECT_THAT(places(), ::testing::ElementsAre("cuda:0", "cuda:1")); }

TEST_F(Nccl, TwoRanksDoNotShareAGpu) {
  fake::state().gpus = 1;
  EXPECT_THAT(
      places(),
      ::testing::Each(::testing::StartsWith("World: TUTTI_BACKEND=nccl: ranks 0 and 1 would share a GPU")));
}

// A launcher may show each rank one GPU, which is number 0 to all of them.
TEST_F(Nccl, GpusAreToldApartByTheirHardware) {
  fake::state().one_card = true;
  EXPECT_THAT(places(), ::testing::Each(::testing::HasSubstr("would share a GPU")));
}

TEST_F(Nccl, NoGpuIsADeviceError) {
  fake::state().gpus = 0;
  EXPECT_THAT(places(), ::testing::Each("World: TUTTI_BACKEND=nccl: the fake has no GPU"));
}

}  // namespace
}  // namespace tutti::test
