// The simulated GPU itself: what it runs, and what it refuses.
#include "tests/simt/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "tests/simt/language.h"

namespace tutti::simt {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(Simt, EveryThreadOfEveryBlockRunsOnce) {
  std::vector<int> runs(2 * 3 * 5 * 7);
  run({2, 3}, {5, 7}, 0, [&] {
    ++runs[((blockIdx.y * gridDim.x + blockIdx.x) * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x];
  });
  EXPECT_EQ(runs, std::vector<int>(runs.size(), 1));
}

TEST(Simt, ABarrierShowsWhatOthersWrote) {
  std::vector<unsigned> seen(256);
  run({1}, {256}, 256 * sizeof(unsigned), [&] {
    auto* numbers = static_cast<unsigned*>(dynamic_shared());
    for (unsigned round = 0; round < 3; ++round) {
      numbers[threadIdx.x] = threadIdx.x + round;
      __syncthreads();
      seen[threadIdx.x] = numbers[255 - threadIdx.x];
      __syncthreads();
    }
  });
  for (unsigned i = 0; i < 256; ++i) EXPECT_EQ(seen[i], 255 - i + 2);
}

TEST(Simt, LanesExchangeWhatTheyHave) {
  std::vector<unsigned> sums(96), above(96), votes(96);
  run({1}, {96}, 0, [&] {
    unsigned sum = threadIdx.x;
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
    sums[threadIdx.x] = sum;
    above[threadIdx.x] = __shfl_down_sync(~0u, threadIdx.x, 1);
    votes[threadIdx.x] = __ballot_sync(~0u, threadIdx.x % 2 == 1);
  });
  for (unsigned i = 0; i < 96; ++i) {
    EXPECT_EQ(sums[i], 32 * (i / 32 * 32) + 31 * 16);
    EXPECT_EQ(above[i], i % 32 == 31 ? i : i + 1);
    EXPECT_EQ(votes[i], 0xaaaaaaaau);
  }
}

TEST(Simt, PartsOfAWarpMeetApart) {
  std::vector<unsigned> from(32);
  run({1}, {32}, 0, [&] {
    const unsigned half = threadIdx.x < 16 ? 0xffffu : 0xffff0000u;
    from[threadIdx.x] = __shfl_sync(half, threadIdx.x, threadIdx.x < 16 ? 3 : 20);
  });
  EXPECT_EQ(from[15], 3u);
  EXPECT_EQ(from[16], 20u);
}

TEST(Simt, WhatSomeThreadsNeverReachIsRefused) {
  EXPECT_THAT([] { run({1}, {64}, 0, [] { threadIdx.x == 5 ? void() : __syncthreads(); }); },
              ThrowsMessage<Error>(HasSubstr("takes no part")));
  EXPECT_THAT([] { run({1}, {32}, 0, [] { threadIdx.x == 5 ? void() : __syncwarp(); }); },
              ThrowsMessage<Error>(HasSubstr("of a mask 0xffffffff")));
  EXPECT_THAT([] { run({1}, {32}, 0, [] { threadIdx.x == 5 ? __syncthreads() : __syncwarp(); }); },
              ThrowsMessage<Error>(HasSubstr("wait for others that never come")));
  EXPECT_THAT([] { run({1}, {16}, 0, [] { __syncwarp(); }); },
              ThrowsMessage<Error>(HasSubstr("in a warp of 16")));
  EXPECT_THAT(
      [] { run({1}, {32}, 0, [] { __shfl_sync(0xffffu << (threadIdx.x & 16), 1, threadIdx.x ^ 16); }); },
      ThrowsMessage<Error>(HasSubstr("not of the mask")));
  EXPECT_THROW(run({1}, {1025}, 0, [] {}), Error);
  EXPECT_THROW(run({0}, {32}, 0, [] {}), Error);
}

TEST(Simt, SharedMemoryIsOfTheBlockAndBeginsAsNotANumber) {
  static const char key = 0;
  std::vector<float> first;
  run({3}, {1}, 0, [&] {
    auto* value = static_cast<float*>(static_shared(&key, sizeof(float)));
    first.push_back(*value);
    *value = 1;
  });
  ASSERT_EQ(first.size(), 3u);
  for (const float value : first) EXPECT_NE(value, value);
  EXPECT_THAT([] { run({1}, {1}, 0, [] { static_shared(&key, 49 << 10); }); },
              ThrowsMessage<Error>(HasSubstr("shared")));
}

}  // namespace
}  // namespace tutti::simt
