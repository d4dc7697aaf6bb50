#include "kernels/cuda/graph.h"

#include <thread>
#include <vector>

#include "kernels/cuda/check.h"
#include "kernels/cuda/grid.cuh"
#include "kernels/replayed.h"
#include "tests/simt/runtime_test.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/core/cuda_graph.h"
#include "tutti/core/error.h"

namespace tutti::simt {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
using testing::ThrowsMessage;

// A step of an optimizer, as a kernel sees it: what changes from step to step comes from memory of the graph.
struct Rate {
  float rate;
  int step;
};

void descend_kernel(float* w, const float* grad, const Rate* rate, int count) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) w[i] -= rate->rate / static_cast<float>(rate->step) * grad[i];
}

TEST_F(RuntimeTest, ScalarsOfAReplayAreThoseOfTheHost) {
  const LateStreams late;
  const Tensor w = zeros({100}, {.device = gpu}), grad = ones({100}, {.device = gpu});
  Rate rate{1, 0};
  cuda::Graph graph(gpu);
  graph.capture([&] {
    const Rate* scalars = kernels::replayed<Rate>(gpu, [&rate] {
      ++rate.step;
      return rate;
    });
    kernels::run("descend", descend_kernel, {1, 128}, static_cast<float*>(w.raw_data()),
                 static_cast<const float*>(grad.raw_data()), scalars, 100);
  });
  EXPECT_EQ(rate.step, 0);
  graph.replay();
  graph.replay();
  rate = {8, 1};  // the replays have their own, although they are still to run
  graph.replay();
  test::expect_close(w, full({100}, -(1 + 0.5 + 4)), 0);
}

TEST_F(RuntimeTest, ManyBytesGoByValue) {
  std::vector<std::uint8_t> bytes(10'001);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + i / 256);
  const LateStreams late;
  const Tensor x = zeros({10'001}, {.dtype = DType::u8, .device = gpu});
  const auto expected = bytes;
  kernels::queue_bytes("test", x.raw_data(), bytes.data(), bytes.size());
  bytes.assign(bytes.size(), 0);
  EXPECT_EQ(x.to_vector<std::uint8_t>(), expected);
}

TEST_F(RuntimeTest, MemoryGoesRoundWithinAGraphAndStaysThere) {
  const Tensor x = ones({1000}, {.device = gpu});
  Tensor out;
  const auto step = [&] { out = ((x + x) + x) + x; };
  step();
  out = {};
  const auto allocations = counters().allocations.load();
  cuda::Graph graph(gpu);
  graph.capture(step);
  EXPECT_EQ(counters().allocations, allocations);  // what was kept is taken over
  EXPECT_EQ(graph.bytes(), 3 * std::size_t{4096});
  graph.replay();
  const void* const address = out.raw_data();
  test::expect_close(out, full({1000}, 4), 0);
  out = {};
  EXPECT_EQ(memory::statistics(gpu).graphs, 3 * std::size_t{4096});
  for (int i = 0; i < 3; ++i) {
    const Tensor other = ones({1000}, {.device = gpu});
    EXPECT_NE(other.raw_data(), address);
  }
  graph.capture([] {});
  EXPECT_EQ(graph.bytes(), 0u);
  EXPECT_EQ(memory::statistics(gpu).graphs, 0u);
  give(take(4000));
}

TEST_F(RuntimeTest, AGraphMayAskTheDriver) {
  Tensor out;
  cuda::Graph graph(gpu);
  graph.capture([&] { out = ones({777}, {.device = gpu}) + ones({777}, {.device = gpu}); });
  graph.replay();
  test::expect_close(out, full({777}, 2), 0);
}

TEST_F(RuntimeTest, ReplaysAreOrderedAmongStreams) {
  const LateStreams late;
  const Tensor x = full({100}, 3, {.device = gpu});
  Tensor product = ones({100}, {.device = gpu});
  cuda::Graph graph(gpu);
  graph.capture([&] { product.copy_(product + x); });
  const cuda::Stream a(gpu), b(gpu);
  for (const auto* stream : {&a, &b, &a}) {
    const cuda::StreamScope scope(*stream);
    graph.replay();
  }
  a.synchronize();
  test::expect_close(product, full({100}, 10), 0);
}

// A library of the user's may wait for the GPU behind our back.
TEST_F(RuntimeTest, ABrokenCaptureIsEndedCleanly) {
  Tensor x = ones({10}, {.device = gpu});
  cuda::Graph graph(gpu);
  EXPECT_THAT(
      [&] {
        graph.capture([&] {
          x.add_(x);
          cudaStreamSynchronize(kernels::current_stream());
          cudaGetLastError();
        });
      },
      ThrowsMessage<DeviceError>(AllOf(StartsWith("Graph::capture: something that the step called"),
                                       HasSubstr("cannot be part of a CUDA graph"))));
  EXPECT_THAT([&] { graph.capture([&] { kernels::check(cudaDeviceSynchronize(), "theirs"); }); },
              ThrowsMessage<DeviceError>(StartsWith("theirs cannot be part of a CUDA graph")));
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  graph.capture([&] { x.add_(x); });
  graph.replay();
  test::expect_close(x, full({10}, 2), 0);
}

TEST_F(RuntimeTest, AGraphIsOfOneGpu) {
  const Tensor x = ones({10}, {.device = gpu}), other = ones({10}, {.device = Device::cuda(1)});
  cuda::Graph graph(gpu);
  const std::string what = "cuda:1: work of another GPU than cuda:0 cannot be part of a CUDA graph";
  EXPECT_THAT([&] { graph.capture([&] { Tensor(other).fill_(2); }); },
              ThrowsMessage<DeviceError>(StartsWith(what)));
  EXPECT_THAT([&] { graph.capture([&] { (void)x.to(Device::cuda(1)); }); },
              ThrowsMessage<DeviceError>(HasSubstr("a copy between GPUs cannot be part of a CUDA graph")));
  test::expect_close(other, ones({10}), 0);
}

TEST_F(RuntimeTest, WhileOneThreadCapturesAnotherWorks) {
  Tensor x = ones({10}, {.device = gpu});
  cuda::Graph graph(gpu);
  graph.capture([&] {
    std::thread([&] {
      EXPECT_FALSE(kernels::is_capturing());
      test::expect_close(ones({10'000}, {.device = gpu}) + 1, full({10'000}, 2), 0);
    }).join();
    x.add_(x);
  });
  graph.replay();
  test::expect_close(x, full({10}, 2), 0);
}

void touch_kernel(float* x) { *x = 1; }

TEST_F(RuntimeTest, AFaultIsOfWhomeverWaitsOrOfTheKernelThatMadeIt) {
  const Tensor x = zeros({1}, {.device = gpu});
  const auto failing = [&] {
    queue_fault(nullptr, cudaErrorIllegalAddress);
    kernels::run("touch", touch_kernel, {1, 1}, static_cast<float*>(x.raw_data()));
  };
  failing();
  EXPECT_THAT(
      [&] { (void)x.item<float>(); },
      ThrowsMessage<DeviceError>(AllOf(StartsWith("copy_bytes: "), HasSubstr("cudaErrorIllegalAddress"),
                                       HasSubstr("TUTTI_CUDA_SYNC=1"))));
  kernels::waits_for_launches() = true;
  EXPECT_THAT(failing, ThrowsMessage<DeviceError>(StartsWith("touch: ")));
  cuda::Graph graph(gpu);
  graph.capture([&] { Tensor(x).fill_(3); });  // where nothing is waited for
  graph.replay();
  kernels::waits_for_launches() = false;
  EXPECT_EQ(x.item<float>(), 3);
}

}  // namespace
}  // namespace tutti::simt
