// Copies: who waits, and what is ordered without waiting. Work of the GPU runs as late as it may.
#include <cstring>
#include <numeric>
#include <vector>

#include "tests/simt/runtime_test.h"
#include "tutti/autograd/arithmetic.h"

namespace tutti::simt {
namespace {

using kernels::copy_bytes;
using kernels::CopyMode;

class CopiesTest : public RuntimeTest {
 protected:
  Device cpu;
  LateStreams late;
};

TEST_F(CopiesTest, FromPageableMemoryNobodyWaits) {
  Waits waits;
  std::vector<float> values(100, 1);
  const Tensor x = from(values, {100}, gpu);
  values.assign(100, 2);  // it was read
  const Tensor y = x.clone() + x;
  EXPECT_EQ(waits.count(), 0u);
  test::expect_close(y, full({100}, 2), 0);
  EXPECT_EQ(waits.count(), 1u);
}

TEST_F(CopiesTest, PinnedMemoryIsReadLater) {
  alignas(64) static float values[100];
  ASSERT_TRUE(kernels::launch<kernels::Pin>(gpu, static_cast<void*>(values), sizeof values));
  const Tensor x = zeros({100}, {.device = gpu});
  const Waits waits;
  std::fill_n(values, 100, 1.0f);
  copy_bytes(x.raw_data(), gpu, values, cpu, sizeof values);
  EXPECT_EQ(waits.count(), 1u);  // so that the host may go on writing
  std::fill_n(values, 100, 2.0f);
  test::expect_close(x, ones({100}), 0);
  copy_bytes(x.raw_data(), gpu, values + 50, cpu, sizeof values / 2, CopyMode::non_blocking);
  EXPECT_EQ(waits.count(), 2u);
  std::fill_n(values, 100, 3.0f);  // too early, which is the caller's affair
  test::expect_close(x.slice(0, 0, 50), full({50}, 3), 0);
  // And to the host: the bytes come with the stream.
  copy_bytes(values, cpu, x.raw_data(), gpu, 50 * sizeof(float), CopyMode::non_blocking);
  values[0] = 7;
  cuda::synchronize(gpu);
  EXPECT_EQ(values[0], 3);
  kernels::launch<kernels::Unpin>(gpu, static_cast<void*>(values));
}

TEST_F(CopiesTest, ToTheHostIsWaitedFor) {
  const Tensor x = full({10}, 4, {.device = gpu});
  const Waits waits;
  EXPECT_EQ(x.to_vector<float>(), std::vector<float>(10, 4));
  EXPECT_EQ(waits.count(), 1u);
  EXPECT_EQ(x.slice(0, 3, 4).item<double>(), 4);
  EXPECT_EQ(waits.count(), 2u);
}

TEST_F(CopiesTest, MuchGoesByPinnedPieces) {
  std::vector<std::int32_t> values((20 << 18) + 77);  // 20 MB: each piece serves several times
  std::iota(values.begin(), values.end(), 5);
  const auto expected = values;
  const auto pageable = counters().copies_from_pageable.load();
  const auto size = static_cast<std::int64_t>(values.size());
  const Tensor x = from(values, {size}, gpu);
  values.assign(values.size(), 0);
  EXPECT_EQ(counters().copies_from_pageable, pageable);
  EXPECT_EQ(x.to_vector<std::int32_t>(), expected);
}

TEST_F(CopiesTest, BetweenGpusStreamsWaitAndTheHostDoesNot) {
  const Device other = Device::cuda(1);
  for (const bool source_runs_first : {true, false}) {
    Tensor source = full({100}, 1, {.device = gpu});
    const Waits waits;
    source.add_(source);  // still to be done when the copy is queued
    const Tensor copied = source.to(other);
    source.fill_(9);  // after it was read
    source = {};
    const Tensor reuses = full({100}, 8, {.device = gpu});
    const Tensor sum = copied + copied;
    EXPECT_EQ(waits.count(), 0u);
    if (source_runs_first) cuda::synchronize(gpu);
    test::expect_close(sum, full({100}, 4), 0);
  }
}

TEST_F(CopiesTest, StreamsMeetByEventsAlone) {
  const Tensor x = zeros({4}, {.device = gpu});
  cuda::synchronize(gpu);
  const cuda::Stream side(gpu);
  cuda::Event filled(gpu);
  {
    const cuda::StreamScope scope(side);
    Tensor(x).fill_(1);
    filled.record();
  }
  Tensor(x).add_(x);  // on the default stream, before the other comes to it
  EXPECT_EQ(x.slice(0, 0, 1).item<float>(), 0);
  filled.wait();
  Tensor(x).add_(x);
  EXPECT_EQ(x.slice(0, 0, 1).item<float>(), 2);
}

}  // namespace
}  // namespace tutti::simt
