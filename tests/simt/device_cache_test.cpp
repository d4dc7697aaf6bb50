#include "kernels/cuda/device_cache.h"

#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "tests/simt/runtime_test.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/core/error.h"

namespace tutti::simt {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST_F(RuntimeTest, WhatWasGivenBackServesItsStreamAtOnce) {
  void* const block = take(100'000);
  give(block);
  const auto before = cache().counts(0);
  const auto allocations = counters().allocations.load();
  const Waits waits;
  void* const again = take(99'000);  // of the same class of sizes
  EXPECT_EQ(again, block);
  void* const another = take(100'000);
  EXPECT_NE(another, block);
  EXPECT_EQ(cache().counts(0).reused, before.reused + 1);
  EXPECT_EQ(cache().counts(0).fresh, before.fresh + 1);
  EXPECT_EQ(counters().allocations, allocations + 1);
  give(again);
  give(another);
  EXPECT_EQ(waits.count(), 0u);
  EXPECT_EQ(cache().counts(0).cached, 2 * std::size_t{106'496});
}

TEST_F(RuntimeTest, StreamsAndGpusHaveBlocksOfTheirOwn) {
  void* const block = take(1000);
  give(block);
  void *on_side = nullptr, *kept = nullptr;
  {
    const cuda::Stream side(gpu);
    const cuda::StreamScope scope(side);
    on_side = take(1000);
    kept = take(1000);
    EXPECT_NE(on_side, block);
    give(on_side);
    EXPECT_EQ(take(1000), on_side);
    give(on_side);
  }
  void* const other_gpu = kernels::launch<kernels::Allocate>(Device::cuda(1), std::size_t{1000});
  EXPECT_NE(other_gpu, block);
  EXPECT_NE(other_gpu, on_side);
  give(other_gpu);
  EXPECT_GT(cache().counts(1).cached, 0u);
  // A stream that is gone was waited for, and leaves its blocks to the default one.
  give(kept);
  std::vector<void*> mine{take(1000), take(1000), take(1000)};
  EXPECT_THAT(mine, testing::UnorderedElementsAre(block, on_side, kept));
  for (void* const one : mine) give(one);
}

TEST_F(RuntimeTest, AnyThreadGivesBack) {
  const kernels::CurrentGpu other(Device::cuda(1));
  void* const block = take(5000);
  const cuda::Stream side(gpu);
  std::thread([&] {
    const cuda::StreamScope scope(side);
    give(block);
  }).join();
  EXPECT_EQ(take(5000), block);  // of the stream that it was taken on
  give(block);
}

TEST_F(RuntimeTest, ThreadsGetBlocksOfTheirOwn) {
  std::mutex mutex;
  std::set<void*> taken;
  std::vector<std::jthread> threads;
  for (unsigned seed = 1; seed <= 3; ++seed) {
    threads.emplace_back([&, seed] {
      for (unsigned i = 0; i < 300; ++i) {
        void* const block = take(512 * (1 + (i * seed) % 4));
        {
          const std::lock_guard lock(mutex);
          EXPECT_TRUE(taken.insert(block).second);
        }
        std::this_thread::yield();
        {
          const std::lock_guard lock(mutex);
          taken.erase(block);
        }
        give(block);
      }
    });
  }
}

TEST_F(RuntimeTest, WhatIsKeptGoesBeforeMemoryIsShort) {
  const std::size_t all = counters().gpu_bytes;
  std::size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  counters().gpu_bytes = total - free + 100'000;
  give(take(60'000));
  void* const block = take(90'000);
  EXPECT_EQ(cache().counts(0).cached, 0u);
  const Tensor held = ones({500}, {.device = gpu});
  EXPECT_THAT([&] { take(50'000); }, ThrowsMessage<DeviceError>(AllOf(
                                         HasSubstr("allocate: no 50000 bytes of memory left on cuda:0: "),
                                         HasSubstr(" are free"), HasSubstr("memory of tensors on cuda:0"),
                                         HasSubstr("activations"), HasSubstr("kept for the next"))));
  give(block);
  give(take(50'000));
  cache().empty();
  cudaMemGetInfo(&free, &total);
  counters().gpu_bytes = total - free + 70'000;
  give(take(69'000));  // for which the class of sizes is too large
  counters().gpu_bytes = all;
}

TEST_F(RuntimeTest, WithoutTheCacheTheDriverIsAskedEachTime) {
  cache().set_keeps(false);
  const auto allocations = counters().allocations.load();
  for (int i = 0; i < 3; ++i) give(take(1000));
  EXPECT_EQ(counters().allocations, allocations + 3);
  EXPECT_EQ(cache().counts(0).cached, 0u);
}

TEST_F(RuntimeTest, StatisticsCoverGpus) {
  const auto before = memory::statistics(gpu);
  { const Tensor x = ones({10'000}, {.device = gpu}); }
  const Tensor x = ones({10'000}, {.device = gpu});
  { const Tensor y = ones({20'000}, {.device = gpu}); }
  const auto after = memory::statistics(gpu);
  EXPECT_EQ(after.now.total(), before.now.total() + 40'000);
  EXPECT_EQ(after.fresh, before.fresh + 2);
  EXPECT_EQ(after.reused, before.reused + 1);
  EXPECT_EQ(after.cached, 80'000u / 8192 * 8192 + 8192);
  EXPECT_THAT(memory::summary(gpu), AllOf(HasSubstr("kept for the next"), HasSubstr("from the driver")));
  memory::empty_cache();
  EXPECT_EQ(memory::statistics(gpu).cached, 0u);
}

TEST_F(RuntimeTest, AStepTakesNothingNewFromTheDriver) {
  const Tensor x = test::numbers({3000}, DType::f32).to(gpu);
  const auto step = [&] { return (x + x) + (x + x); };
  step();
  const auto allocations = counters().allocations.load();
  const Waits waits;
  for (int i = 0; i < 3; ++i) step();
  EXPECT_EQ(counters().allocations, allocations);
  EXPECT_EQ(waits.count(), 0u);
}

}  // namespace
}  // namespace tutti::simt
