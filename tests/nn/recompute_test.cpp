#include "tutti/nn/recompute.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tutti/core/error.h"
#include "tutti/tutti.h"

namespace tutti {
namespace {

using testing::Each;
using testing::Eq;

// What a module made of a few batches, all of it.
struct Trace {
  std::vector<std::vector<float>> losses, state;
  std::vector<std::uint64_t> positions;
  bool operator==(const Trace&) const = default;
};

Trace train(nn::Module& net, const std::function<Tensor(int)>& loss_of) {
  Trace trace;
  optim::AdamW optimizer(net.parameters(), {.lr = 1e-2});
  for (int step = 0; step < 3; ++step) {
    const Tensor loss = loss_of(step);
    loss.backward();
    optimizer.step();
    optimizer.zero_grad();
    trace.losses.push_back(loss.to_vector<float>());
  }
  for (const auto& [name, tensor] : net.state_dict()) {
    trace.state.push_back(tensor.to(DType::f32).to_vector<float>());
  }
  for (const auto& [name, generator] : net.generators()) {
    trace.positions.push_back(generator.state().position);
  }
  return trace;
}

nn::Sequential convolutions(Generator rng) {
  return nn::Sequential(nn::Conv2d(2, 3, 3, rng), nn::BatchNorm2d(3), nn::ReLU(), nn::Dropout(0.3, rng));
}

Tensor images(int step) {
  Generator rng(100 + static_cast<std::uint64_t>(step));
  return randn({4, 2, 6, 6}, rng);
}

TEST(RecomputeModule, TrainsToTheSameBitsWithDropoutAndBatchNorm) {
  nn::Sequential plain(convolutions(Generator(1)), nn::Conv2d(3, 2, 3, Generator(3)));
  nn::Sequential less(nn::Recompute(convolutions(Generator(1))), nn::Conv2d(3, 2, 3, Generator(3)));
  const Trace expected = train(plain, [&](int step) { return mean(square(plain(images(step)))); });
  EXPECT_EQ(train(less, [&](int step) { return mean(square(less(images(step)))); }), expected);
}

TEST(RecomputeModule, NestsToTheSameBits) {
  const auto net = [](auto wrap) {
    nn::Sequential within(wrap(convolutions(Generator(1))), nn::Conv2d(3, 2, 1, Generator(2)));
    return nn::Sequential(wrap(std::move(within)), nn::Dropout(0.1, Generator(4)));
  };
  auto plain = net([](nn::Sequential module) { return module; });
  auto less = net([](nn::Sequential module) { return nn::Recompute(std::move(module)); });
  const Trace expected = train(plain, [&](int step) { return mean(square(plain(images(step)))); });
  EXPECT_EQ(train(less, [&](int step) { return mean(square(less(images(step)))); }), expected);
}

// Other runs lie between a run and its backward pass, in training and not.
TEST(RecomputeModule, RunsEachTimeAgainAsItWas) {
  const auto gradients = [](nn::Module& net, bool at_once) {
    std::vector<Tensor> losses;
    for (int step = 0; step < 4; ++step) {
      net.train(step != 1);
      losses.push_back(mean(square(net(images(step)))));
      if (at_once) losses.back().backward();
    }
    net.eval();
    const auto position = net.generators()[0].generator.state().position;
    for (const Tensor& loss : losses) {
      if (!at_once) loss.backward();
      EXPECT_FALSE(net.training());
      EXPECT_EQ(net.generators()[0].generator.state().position, position);
    }
    std::vector<std::vector<float>> result;
    for (const auto& [name, tensor] : net.parameters()) result.push_back(tensor.grad().to_vector<float>());
    return result;
  };
  auto plain = convolutions(Generator(1));
  nn::Recompute less(convolutions(Generator(1)));
  EXPECT_EQ(gradients(less, false), gradients(plain, true));
}

TEST(RecomputeModule, LeavesAloneWhatTheTapeSavedOfItsBuffers) {
  nn::BatchNorm2d norm(2);
  norm.eval();
  nn::Recompute net(std::move(norm));
  const Tensor x = images(0).set_requires_grad();
  const Tensor mean_of = net.state_dict()[2].tensor;
  const Tensor uses = sum(x * mean_of.reshape({1, 2, 1, 1}));
  sum(net(x)).backward();
  EXPECT_NO_THROW(uses.backward());
  EXPECT_EQ(net.state_dict()[2].tensor.storage(), mean_of.storage());
}

TEST(RecomputeModule, HasTheNamesAndTheModeOfTheModuleWithin) {
  nn::Sequential net(nn::Recompute(convolutions(Generator(1))), nn::Flatten());
  const auto plain = nn::Sequential(convolutions(Generator(1)), nn::Flatten());
  const auto names = [](const NamedTensors& tensors) {
    std::vector<std::string> result;
    for (const auto& [name, tensor] : tensors) result.push_back(name);
    return result;
  };
  EXPECT_EQ(names(net.state_dict()), names(plain.state_dict()));
  EXPECT_EQ(names(net.state_dict())[0], "0.0.weight");
  EXPECT_EQ(net.generators()[0].name, plain.generators()[0].name);
  net.eval();
  EXPECT_EQ(net(images(0)).to_vector<float>(), net(images(0)).to_vector<float>());
}

// Remembers where its result lies.
struct Probe : nn::Module {
  std::shared_ptr<std::vector<std::weak_ptr<Storage>>> made =
      std::make_shared<std::vector<std::weak_ptr<Storage>>>();
  std::shared_ptr<std::vector<bool>> recorded = std::make_shared<std::vector<bool>>();
  Tensor forward(const Tensor& x) override {
    recorded->push_back(grad_enabled());
    const Tensor y = tanh(x);
    made->push_back(y.storage());
    return y;
  }
};

TEST(RecomputeModule, KeepsNothingOfWhatIsWithin) {
  Probe probe;
  const auto made = probe.made;
  const auto recorded = probe.recorded;
  nn::Sequential within(nn::Linear(4, 64, Generator(1)), std::move(probe), nn::Linear(64, 4, Generator(2)));
  nn::Recompute net(std::move(within));
  const Tensor loss = sum(net(ones({2, 4})));
  ASSERT_EQ(made->size(), 1u);
  EXPECT_TRUE(made->back().expired());
  loss.backward();
  ASSERT_EQ(made->size(), 2u);
  EXPECT_TRUE(made->back().expired());
  EXPECT_THAT(*recorded, testing::ElementsAre(false, true));
}

TEST(RecomputeModule, MayBeMovedOrGoneBeforeTheBackwardPass) {
  Tensor weight, loss;
  {
    nn::Linear layer(2, 1, Generator(1));
    weight = layer.weight;
    nn::Recompute first(std::move(layer));
    nn::Recompute net = std::move(first);
    loss = sum(net(tensor({2.0f, 3.0f}, {1, 2})));
  }
  loss.backward();
  EXPECT_THAT(weight.grad().to_vector<float>(), testing::ElementsAre(2, 3));
}

TEST(RecomputeModule, RefusesNoModule) { EXPECT_THROW(nn::recompute(nullptr, ones({1})), ConfigError); }

TEST(RecomputeGpt, TrainsToTheSameBits) {
  nn::GptOptions options{
      .vocabulary = 7, .layers = 3, .width = 16, .heads = 2, .context = 8, .dropout = 0.2, .seed = 1};
  const auto run = [&options] {
    nn::Gpt model(options);
    Generator rng(5);
    return train(model, [&](int) {
      const Tensor tokens = randint(0, 7, {2, 8}, rng);
      return cross_entropy(model(tokens), randint(0, 7, {2, 8}, rng));
    });
  };
  const Trace expected = run();
  options.recompute = true;
  EXPECT_EQ(run(), expected);
}

TEST(RecomputeGpt, HooksOfParametersRunOnceAPass) {
  nn::Gpt model({.vocabulary = 5, .layers = 2, .width = 8, .heads = 1, .context = 4, .recompute = true});
  std::vector<int> calls;
  for (auto& [name, tensor] : model.parameters()) {
    calls.push_back(0);
    tensor.register_grad_hook([&calls, i = calls.size() - 1](Tensor&) { ++calls[i]; });
  }
  const Tensor tokens = zeros({1, 4}, {.dtype = DType::i64});
  for (int pass = 1; pass <= 2; ++pass) {
    cross_entropy(model(tokens), tokens).backward();
    EXPECT_THAT(calls, Each(Eq(pass)));
  }
}

}  // namespace
}  // namespace tutti
