#include <vector>

#include "tests/cuda/gpu_test.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/math.h"
#include "tutti/core/cuda.h"
#include "tutti/core/cuda_graph.h"
#include "tutti/core/error.h"
#include "tutti/core/memory.h"

namespace tutti::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using testing::ThrowsMessage;

// y = tanh(x * w) + b, and a step down its gradients.
struct Steps {
  explicit Steps(Device device)
      : x(numbers({64}, DType::f32, 1).to(device)),
        w(numbers({64}, DType::f32, 2).to(device)),
        b(numbers({64}, DType::f32, 3).to(device)),
        ones_there(ones({64}, {.device = device})) {
    w.set_requires_grad();
    b.set_requires_grad();
  }

  void step() {
    for (Tensor* p : {&w, &b}) {
      if (p->grad().defined()) p->set_grad({});
    }
    y = tanh(x * w) + b;
    y.backward(ones_there);
    w.detach().add_(w.grad(), -0.1);
    b.detach().add_(b.grad(), -0.1);
  }

  Tensor x, w, b, ones_there, y;
};

TEST_F(GpuTest, AReplayedStepTrainsToTheSameBits) {
  Steps eager(gpu), replayed(gpu);
  cuda::Graph graph(gpu);
  EXPECT_FALSE(graph.captured());
  graph.capture([&] { replayed.step(); }, 1);
  EXPECT_TRUE(graph.captured());
  EXPECT_GT(graph.bytes(), 0u);
  eager.step();
  expect_close(replayed.w, eager.w.detach().to(Device::cpu()), 0);  // the capture itself computed nothing
  for (int step = 0; step < 4; ++step) {
    const Tensor input = numbers({64}, DType::f32, step + 10);
    eager.x.copy_(input);
    eager.step();
    replayed.x.copy_(input);
    graph.replay();
  }
  for (const auto& [a, e] : {std::pair(replayed.w, eager.w),
                             {replayed.b, eager.b},
                             {replayed.y, eager.y},
                             {replayed.w.grad(), eager.w.grad()}})
    expect_close(a.detach(), e.detach().to(Device::cpu()), 0);
}

TEST_F(GpuTest, AGraphIsReplayedOnTheCurrentStream) {
  const Tensor x = ones({100}, {.device = gpu});
  Tensor total = zeros({100}, {.device = gpu});
  cuda::Graph graph(gpu);
  graph.capture([&] { total.add_(x + x); });
  graph.replay();
  const cuda::Stream side(gpu);
  {
    const cuda::StreamScope scope(side);
    graph.replay();
    graph.replay();
    side.synchronize();
  }
  graph.replay();
  expect_close(total, full({100}, 8), 0);
}

TEST_F(GpuTest, TensorsOutliveTheGraph) {
  Tensor made;
  {
    cuda::Graph graph(gpu);
    graph.capture([&] { made = ones({50}, {.device = gpu}) + ones({50}, {.device = gpu}); });
    graph.replay();
  }
  const Tensor other = full({50}, 7, {.device = gpu});
  expect_close(made, full({50}, 2), 0);
}

TEST_F(GpuTest, WhatChangesOnTheHostGoesByEachReplay) {
  std::vector<int> calls;
  int count = 0;
  Tensor x = zeros({3}, {.device = gpu});
  cuda::Graph graph(gpu);
  graph.capture([&] {
    EXPECT_TRUE(cuda::is_capturing());
    cuda::each_replay([&] { calls.push_back(++count); });
    cuda::each_replay([&] { calls.push_back(10 * count); });
    x.add_(ones({3}, {.device = gpu}));
  });
  EXPECT_FALSE(cuda::is_capturing());
  EXPECT_THAT(calls, ElementsAre());
  graph.replay();
  graph.replay();
  EXPECT_THAT(calls, ElementsAre(1, 10, 2, 20));
  EXPECT_THAT([] { cuda::each_replay([] {}); }, ThrowsMessage<DeviceError>(HasSubstr("no CUDA graph")));
}

TEST_F(GpuTest, WhatIsMadeFromTheHostsConstantsIsInTheGraph) {
  Tensor positions;
  cuda::Graph graph(gpu);
  graph.capture([&] { positions = arange(1000, {DType::i64, gpu}); });
  graph.replay();
  expect_close(positions, arange(1000, {DType::i64}), 0);
}

TEST_F(GpuTest, WhatCannotBePartOfAGraphIsNamed) {
  Tensor x = ones({4}, {.device = gpu});
  cuda::Graph graph(gpu);
  const auto refuses = [&](const auto& step, const char* what) {
    EXPECT_THAT(
        [&] { graph.capture(step); },
        ThrowsMessage<DeviceError>(AllOf(StartsWith(what), HasSubstr("cannot be part of a CUDA graph"))));
    EXPECT_FALSE(graph.captured());
    EXPECT_FALSE(cuda::is_capturing());
    EXPECT_EQ(cuda::current_stream(gpu), nullptr);
    x.add_(ones({4}, {.device = gpu}));  // and all goes on
  };
  refuses([&] { (void)x.slice(0, 0, 1).item<float>(); }, "copy_bytes: a copy to the host");
  refuses([&] { (void)x.to(Device::cpu()); }, "copy_bytes: a copy to the host");
  refuses([&] { x.copy_(ones({4})); }, "copy_bytes: a copy from the host");
  refuses([&] { cuda::synchronize(gpu); }, "synchronize");
  const cuda::Stream side(gpu);
  refuses(
      [&] {
        const cuda::StreamScope scope(side);
        x.add_(x);
      },
      "work on another stream");
  refuses([&] { cuda::Graph(gpu).capture([] {}); }, "Graph::capture: another capture");
  expect_close(x, full({4}, 7), 0);
  EXPECT_THAT([&] { graph.replay(); }, ThrowsMessage<DeviceError>(HasSubstr("nothing was captured")));
  EXPECT_THAT([&] { graph.capture([] { throw ShapeError("mine"); }); }, ThrowsMessage<ShapeError>("mine"));
  graph.capture([&] { x.add_(x); });
  EXPECT_THAT([&] { cuda::Graph(gpu).capture([&] { graph.replay(); }); },
              ThrowsMessage<DeviceError>(StartsWith("Graph::replay")));
  graph.replay();
  expect_close(x, full({4}, 14), 0);
}

TEST_F(GpuTest, WhatTheStepLetsGoOfIsKeptForTheGraph) {
  Tensor input = numbers({200}, DType::f32).to(gpu), out;
  const Tensor expected = ((input + input) * 3.0).to(Device::cpu());
  cuda::Graph graph(gpu);
  graph.capture([&] {
    const Tensor both = input + input;
    input = {};
    out = both * 3.0;  // not where the input was
  });
  const Tensor other = full({200}, 5, {.device = gpu});  // nor this
  for (int replay = 0; replay < 3; ++replay) graph.replay();
  expect_close(out, expected, 0);
  expect_close(other, full({200}, 5), 0);
}

}  // namespace
}  // namespace tutti::test
