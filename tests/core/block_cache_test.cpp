#include "core/block_cache.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <thread>
#include <vector>

#include "core/memory_account.h"

namespace tutti::memory {
namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr bool keeps = false;
#else
constexpr bool keeps = true;
#endif

BlockCache& cache() { return BlockCache::instance(); }

TEST(BlockCache, SizesAreAtMostAnEighthLarger) {
  std::size_t last = 0;
  for (std::size_t bytes = 0; bytes < 100'000; ++bytes) {
    const auto size = BlockCache::size_of_block(bytes);
    ASSERT_GE(size, bytes);
    ASSERT_GE(size, last);
    ASSERT_EQ(size % 64, 0u);
    if (bytes > 512) {
      ASSERT_LE(size, bytes + bytes / 8 + 1);
    }
    last = size;
  }
  for (int power = 9; power < 62; ++power) {
    const auto bytes = std::size_t{1} << power;
    EXPECT_EQ(BlockCache::size_of_block(bytes), bytes);
    EXPECT_EQ(BlockCache::size_of_block(bytes + 1), bytes + bytes / 8);
  }
  EXPECT_EQ(BlockCache::size_of_block(std::numeric_limits<std::size_t>::max()), 0u);
}

TEST(BlockCache, BlocksAreAlignedAndTheirOwn) {
  std::vector<std::pair<unsigned char*, std::size_t>> blocks;
  for (std::size_t bytes : {0, 1, 64, 65, 1000, 4096, 100'000, 3'000'000, 9'000'001}) {
    auto* const block = static_cast<unsigned char*>(cache().take(bytes));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % 64, 0u);
    std::memset(block, static_cast<int>(blocks.size()), BlockCache::size_of_block(bytes));
    blocks.emplace_back(block, bytes);
  }
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const auto [block, bytes] = blocks[i];
    const auto size = BlockCache::size_of_block(bytes);
    EXPECT_TRUE(block[0] == i && block[size - 1] == i);
    cache().give(block, bytes);
  }
}

TEST(BlockCache, WhatWasGivenBackServesTheSameSizeAgain) {
  if (!keeps) GTEST_SKIP() << "under the address sanitizer nothing is kept";
  constexpr std::size_t bytes = 5'000'000;
  void* const block = cache().take(bytes);
  cache().give(block, bytes);
  const auto before = cache().counts();
  EXPECT_GE(before.cached, bytes);
  void* const again = cache().take(bytes - 1000);
  EXPECT_EQ(again, block);
  EXPECT_EQ(cache().counts().reused, before.reused + 1);
  EXPECT_EQ(cache().counts().fresh, before.fresh);
  EXPECT_EQ(cache().counts().cached, before.cached - BlockCache::size_of_block(bytes));
  cache().give(again, bytes - 1000);
  cache().empty();
  EXPECT_EQ(cache().counts().cached, 0u);
}

TEST(BlockCache, WithWhatIsInUseItIsAtMostOneAndAHalfOfThePeak) {
  cache().empty();
  cache().reset_peak();
  if (TEST_SLOWDOWN == 1) {  // what there was not is not a peak; sanitizers end the program
    EXPECT_EQ(cache().take(std::size_t{1} << 60), nullptr);
  }
  const std::size_t most = std::size_t{48} << 20;
  std::size_t kept = 0;
  for (std::size_t bytes = most / 4; bytes > 1000; bytes = bytes * 2 / 3) {  // each of a size of its own
    std::vector<void*> blocks;
    for (std::size_t sum = 0; sum + bytes + bytes / 8 <= most / 2; sum += bytes + bytes / 8)
      blocks.push_back(cache().take(bytes));
    for (void* const block : blocks) cache().give(block, bytes);
    kept = std::max(kept, cache().counts().cached);
  }
  EXPECT_LE(kept, most / 2 * 3 / 2 + (1 << 20));  // which other tests may have in use
  if (keeps) {
    EXPECT_GT(kept, most / 2);
  }
  cache().empty();
}

TEST(BlockCache, ThatMuchThereIsNot) {
  EXPECT_EQ(cache().take(std::numeric_limits<std::size_t>::max()), nullptr);
  if (TEST_SLOWDOWN == 1) {  // sanitizers end the program
    EXPECT_EQ(cache().take(std::size_t{1} << 60), nullptr);
  }
}

// Each writes its blocks full and finds them as they were.
TEST(BlockCache, ThreadsGetBlocksOfTheirOwn) {
  std::atomic<int> wrong = 0;
  std::vector<std::jthread> threads;
  for (unsigned seed = 1; seed <= 4; ++seed) {
    threads.emplace_back([seed, &wrong] {
      std::mt19937 random(seed);
      std::vector<std::pair<unsigned char*, std::size_t>> mine;
      for (int i = 0; i < 3000; ++i) {
        if (mine.size() < 20) {
          const std::size_t bytes = 1 + random() % 20'000;
          mine.emplace_back(static_cast<unsigned char*>(cache().take(bytes)), bytes);
          std::memset(mine.back().first, static_cast<int>(seed), bytes);
        } else {
          std::swap(mine[random() % mine.size()], mine.back());
          const auto [block, bytes] = mine.back();
          for (std::size_t b = 0; b < bytes; ++b) wrong += block[b] != seed;
          cache().give(block, bytes);
          mine.pop_back();
        }
      }
      for (const auto& [block, bytes] : mine) cache().give(block, bytes);
    });
  }
  threads.clear();
  EXPECT_EQ(wrong, 0);
}

TEST(BlockCache, AChildThatIsForkedMeanwhileHasMemory) {
  if (TEST_SLOWDOWN != 1) GTEST_SKIP() << "a sanitizer's own allocator stays locked in the child";
  const std::jthread busy([](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      for (int i = 0; i < 1000; ++i) {
        cache().give(cache().take(100), 100);
        add({}, Category::activations, 1);
        remove({}, Category::activations, 1);
      }
      std::this_thread::sleep_for(
          std::chrono::microseconds(100));  // else a fork waits for the lock in vain for long
    }
  });
  for (int i = 0; i < 50; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(20);
      cache().give(cache().take(100), 100);
      add({}, Category::activations, 1);
      ::_exit(0);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
  }
}

}  // namespace
}  // namespace tutti::memory
