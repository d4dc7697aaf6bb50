// Training steps as a CUDA graph: the bits of those without, with the counts, rates and random numbers of each replay.
#include "tests/cuda/gpu_test.h"
#include "tutti/autograd/dropout.h"
#include "tutti/autograd/loss.h"
#include "tutti/autograd/recompute.h"
#include "tutti/core/cuda_graph.h"
#include "tutti/core/default_device.h"
#include "tutti/core/error.h"
#include "tutti/nn/gpt.h"
#include "tutti/nn/recompute.h"
#include "tutti/optim/adam.h"
#include "tutti/optim/sgd.h"
#include "tutti/tensor/fingerprint.h"
#include "tutti/tensor/random.h"

namespace tutti::test {
namespace {

nn::GptOptions small(bool recompute = false) {
  return {.vocabulary = 17,
          .layers = 1,
          .width = 16,
          .heads = 2,
          .context = 8,
          .dropout = 0.25,
          .recompute = recompute};
}

template <typename Optimizer>
struct Training {
  explicit Training(Device gpu, DType dtype = DType::f32, const nn::GptOptions& options = small())
      : on_gpu(gpu), model(options), optimizer((model.to(dtype), model.parameters()), {.lr = 1e-2}) {
    Generator rng(3);
    tokens = randint(0, 17, {2, 8}, rng);
    targets = randint(0, 17, {2, 8}, rng);
  }

  void step() {
    optimizer.zero_grad(true);
    loss = cross_entropy(model(tokens), targets);
    loss.backward();
    optimizer.step();
  }
  std::string state() const { return fingerprint(model.state_dict()) + fingerprint(optimizer.state_dict()); }

  DefaultDevice on_gpu;
  nn::Gpt model;
  Optimizer optimizer;
  Tensor tokens, targets, loss;
};

template <typename Optimizer>
void expect_same_training(Device gpu, DType dtype) {
  Training<Optimizer> eager(gpu, dtype);
  std::vector<std::string> states;
  for (int i = 0; i < 5; ++i) {
    eager.optimizer.set_lr(1e-2 / (i + 1));
    eager.step();
    states.push_back(eager.state());
  }
  Training<Optimizer> graphed(gpu, dtype);
  cuda::Graph graph(gpu);
  graphed.step();
  ASSERT_EQ(graphed.state(), states[0]);
  graph.capture([&] { graphed.step(); });
  EXPECT_EQ(graphed.state(), states[0]);  // a capture changes nothing
  for (std::size_t i = 1; i < states.size(); ++i) {
    graphed.optimizer.set_lr(1e-2 / static_cast<double>(i + 1));
    graph.replay();
    EXPECT_EQ(graphed.state(), states[i]) << "step " << i;
  }
  const Tensor last = graphed.loss, expected = eager.loss;
  EXPECT_EQ(last.item<float>(), expected.item<float>());
}

TEST_F(GpuTest, GraphsOfTrainingHaveTheBitsOfItsSteps) {
  expect_same_training<optim::AdamW>(gpu, DType::f32);
  expect_same_training<optim::AdamW>(gpu, DType::bf16);
  expect_same_training<optim::SGD>(gpu, DType::f32);
}

// Their f32 copies do.
TEST_F(GpuTest, ReplaysFollowParametersThatOthersChange) {
  Training<optim::AdamW> eager(gpu, DType::bf16), graphed(gpu, DType::bf16);
  cuda::Graph graph(gpu);
  graph.capture([&] { graphed.step(); }, 1);
  graph.replay();
  for (int i = 0; i < 2; ++i) eager.step();
  for (auto* training : {&eager, &graphed}) {
    for (const auto& [name, parameter] : training->model.parameters()) parameter.detach().mul_(0.5);
  }
  graph.replay();
  eager.step();
  EXPECT_EQ(graphed.state(), eager.state());
}

TEST_F(GpuTest, RandomNumbersAreNotDrawnAgainInAGraph) {
  Training<optim::SGD> training(gpu, DType::f32, small(true));
  training.step();
  cuda::Graph graph(gpu);
  EXPECT_THROW(graph.capture([&] { training.step(); }), DeviceError);
  training.step();
  Generator rng(5);
  const Tensor x = ones({8}, {.device = gpu}).set_requires_grad(), g = ones({8}, {.device = gpu});
  const auto drop = [&](const std::vector<Tensor>& in) { return dropout(in[0], 0.5, rng); };
  EXPECT_THAT([&] { graph.capture([&] { recompute(drop, {x}, {.generators = {rng}}).backward(g); }); },
              testing::ThrowsMessage<DeviceError>(testing::HasSubstr("recompute: a function with random")));
}

}  // namespace
}  // namespace tutti::test
