#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/loss.h"
#include "tutti/autograd/matmul.h"
#include "tutti/autograd/reduce.h"
#include "tutti/core/error.h"
#include "tutti/nn/activation.h"
#include "tutti/nn/linear.h"
#include "tutti/nn/recompute.h"
#include "tutti/nn/sequential.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

std::vector<std::string> names_of(const NamedTensors& tensors) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors) names.push_back(name);
  return names;
}

nn::Sequential mlp(Generator rng) {
  return nn::Sequential(nn::Linear(3, 4, rng), nn::ReLU(), nn::Linear(4, 2, rng, {.bias = false}));
}

// Every kind of member, and one tensor under two names.
struct Everything : nn::Module {
  nn::Linear inner;
  Tensor tied = inner.weight;
  Tensor mean = zeros({2});
  Generator generator;

  explicit Everything(Generator rng) : inner(2, 2, rng), generator(rng) {}
  void visit(nn::MemberVisitor& v) override {
    v.module("inner", inner);
    v.parameter("head.weight", tied);
    v.buffer("mean", mean);
    v.generator("generator", generator);
  }
};

TEST(Module, NamesAreDottedPaths) {
  EXPECT_THAT(names_of(mlp(Generator(1)).parameters()), ElementsAre("0.weight", "0.bias", "2.weight"));
  EXPECT_EQ(mlp(Generator(1)).parameter_count(), 3 * 4 + 4 + 4 * 2);
}

TEST(Module, HooksRunAroundEachCall) {
  nn::ReLU relu;
  std::vector<std::string> calls;
  relu.register_forward_pre_hook([&](const Tensor& x) { calls.push_back("before " + x.shape().str()); });
  relu.register_forward_hook([&](const Tensor& x, const Tensor& y) {
    calls.push_back("after " + x.shape().str());
    return y + 1;
  });
  relu.register_forward_hook([](const Tensor&, const Tensor& y) { return y * 2; });
  const auto result = [&] { return relu(full({2}, -1)).to_vector<float>(); };
  EXPECT_THAT(result(), ElementsAre(2, 2));  // the first hook's result goes through the second
  EXPECT_THAT(calls, ElementsAre("before [2]", "after [2]"));
  relu.forward(ones({2}));
  EXPECT_EQ(calls.size(), 2u);
  nn::ReLU moved = std::move(relu);
  moved(ones({3}));
  EXPECT_EQ(calls.back(), "after [3]");
}

TEST(Module, HooksMayRegisterOthers) {
  nn::ReLU relu;
  int runs = 0;
  relu.register_forward_pre_hook([&](const Tensor&) {
    if (runs++ > 0) return;
    for (int i = 0; i < 100; ++i) relu.register_forward_pre_hook([&](const Tensor&) { ++runs; });
  });
  relu(ones({}));
  EXPECT_EQ(runs, 101);
}

TEST(Module, HooksRunInASequentialAndWhereItIsRunAgain) {
  int runs = 0;
  const auto counted = [&] {
    nn::Linear layer(2, 2, Generator(1));
    layer.register_forward_pre_hook([&](const Tensor&) { ++runs; });
    return layer;
  };
  nn::Sequential net(counted(), nn::Recompute(nn::Sequential(counted())), nn::Recompute(counted()));
  const Tensor y = sum(net(ones({2})));
  EXPECT_EQ(runs, 3);
  y.backward();
  EXPECT_EQ(runs, 5);
}

TEST(Module, AHooksErrorIsTheCalls) {
  nn::ReLU relu;
  relu.register_forward_pre_hook([](const Tensor&) { throw ConfigError("not today"); });
  EXPECT_THAT([&] { relu(ones({})); }, ThrowsMessage<ConfigError>(HasSubstr("not today")));
}

TEST(Module, ParametersOnceStateUnderEveryName) {
  Everything module(Generator(1));
  EXPECT_THAT(names_of(module.parameters()), ElementsAre("inner.weight", "inner.bias"));
  EXPECT_THAT(names_of(module.state_dict()),
              ElementsAre("inner.weight", "inner.bias", "head.weight", "mean"));
  ASSERT_EQ(module.generators().size(), 1u);
  EXPECT_EQ(module.generators()[0].name, "generator");
}

TEST(Module, GeneratorsShareThePositionOfTheModules) {
  Everything module(Generator(1));
  auto saved = module.generators();
  const auto state = saved[0].generator.state();
  const auto first = rand({4}, module.generator).to_vector<float>();
  saved[0].generator.set_state(state);
  EXPECT_EQ(rand({4}, module.generator).to_vector<float>(), first);
}

TEST(Module, SurvivesAMove) {
  Everything before(Generator(1));
  const Tensor weight = before.inner.weight;
  Everything after = std::move(before);
  EXPECT_TRUE(after.parameters()[0].tensor.is_same(weight));
  after.inner.weight.fill_(3);
  EXPECT_EQ(after.state_dict()[0].tensor.select(0, 0).select(0, 0).item(), 3);
}

TEST(Module, ModeReachesEveryModule) {
  auto net = mlp(Generator(1));
  EXPECT_TRUE(net[2].training());
  net.eval();
  EXPECT_FALSE(net[2].training());
  EXPECT_FALSE(net.training());
  net.train();
  EXPECT_TRUE(net[2].training());
}

TEST(Module, ConvertingKeepsTiesAndGradientsWanted) {
  Everything module(Generator(1));
  module.to(DType::f64);
  EXPECT_EQ(module.mean.dtype(), DType::f64);
  EXPECT_TRUE(module.tied.is_same(module.inner.weight));
  EXPECT_TRUE(module.inner.weight.requires_grad());
  EXPECT_THROW(module.to(DType::i64), DTypeError);
}

TEST(Module, ZeroGradKeepsTheGradientsPlace) {
  auto net = mlp(Generator(1));
  sum(net(ones({2, 3}))).backward();
  const Tensor grad = net.parameters()[0].tensor.grad();
  EXPECT_NE(sum(square(grad)).item(), 0);
  net.zero_grad();
  EXPECT_EQ(sum(square(grad)).item(), 0);
  EXPECT_TRUE(net.parameters()[0].tensor.grad().is_same(grad));
}

TEST(Module, WithoutForwardSaysSo) {
  Everything module(Generator(1));
  EXPECT_THROW(module(ones({2})), Error);
}

TEST(StateDict, MakesAnotherModuleTheSame) {
  auto one = mlp(Generator(1));
  auto other = mlp(Generator(2));
  const Tensor x = ones({2, 3});
  EXPECT_NE(one(x).to_vector<float>(), other(x).to_vector<float>());
  other.load_state_dict(one.state_dict());
  EXPECT_EQ(one(x).to_vector<float>(), other(x).to_vector<float>());
  EXPECT_TRUE(other.parameters()[0].tensor.requires_grad());
  EXPECT_FALSE(one.state_dict()[0].tensor.requires_grad());
}

TEST(StateDict, NamesAllThatDoesNotFitAndChangesNothing) {
  auto net = mlp(Generator(1));
  const auto before = net.state_dict()[0].tensor.to_vector<float>();
  const NamedTensors state{{"0.weight", zeros({4, 3})}, {"0.bias", zeros({5})}, {"3.weight", zeros({1})}};
  EXPECT_THAT(
      [&] { net.load_state_dict(state); },
      ThrowsMessage<DataError>("load_state_dict: the state does not fit; 1 missing: 2.weight; 1 unexpected: "
                               "3.weight; 1 of another shape: 0.bias is [4], the state has [5]"));
  EXPECT_EQ(net.state_dict()[0].tensor.to_vector<float>(), before);
}

TEST(StateDict, NotStrictStillChecksShapes) {
  auto net = mlp(Generator(1));
  net.load_state_dict({{"0.bias", ones({4})}, {"other", ones({1})}}, false);
  EXPECT_THAT(net.state_dict()[1].tensor.to_vector<float>(), ElementsAre(1, 1, 1, 1));
  EXPECT_THROW(net.load_state_dict({{"0.bias", ones({5})}}, false), DataError);
}

TEST(StateDict, ListsAFewOfManyNames) {
  nn::Sequential net;
  for (int i = 0; i < 10; ++i) net.push_back(nn::Linear(1, 1, Generator(1)));
  EXPECT_THAT([&] { net.load_state_dict({}); },
              ThrowsMessage<DataError>(AllOf(HasSubstr("20 missing: 0.weight, 0.bias"),
                                             HasSubstr("and 12 more"), Not(HasSubstr("9.bias")))));
}

TEST(StateDict, OneNameOfATiedTensorIsEnough) {
  Everything module(Generator(1));
  const Tensor weight = full({2, 2}, 7);
  module.load_state_dict({{"head.weight", weight}, {"inner.bias", zeros({2})}, {"mean", zeros({2})}});
  EXPECT_EQ(module.inner.weight.select(0, 0).select(0, 0).item(), 7);
  EXPECT_THAT(
      [&] {
        module.load_state_dict({{"inner.weight", zeros({2, 2})},
                                {"head.weight", weight},
                                {"inner.bias", zeros({2})},
                                {"mean", zeros({2})}});
      },
      ThrowsMessage<DataError>(HasSubstr("inner.weight and head.weight are one tensor here")));
}

TEST(Linear, IsDrawnFromItsGenerator) {
  Generator rng(1);
  const nn::Linear first(100, 50, rng);
  const nn::Linear second(100, 50, rng);
  const nn::Linear again(100, 50, Generator(1));
  EXPECT_EQ(first.weight.to_vector<float>(), again.weight.to_vector<float>());
  EXPECT_NE(first.weight.to_vector<float>(), second.weight.to_vector<float>());
  EXPECT_LE(amax(abs(first.weight)).item(), 0.1f);
  EXPECT_GT(amax(abs(first.weight)).item(), 0.099f);
  EXPECT_LE(amax(abs(first.bias)).item(), 0.1f);
  EXPECT_THROW(nn::Linear(0, 3, rng), ConfigError);
}

TEST(Sequential, AppliesItsModulesInOrder) {
  auto net = mlp(Generator(1));
  const auto p = net.parameters();
  const Tensor x = tensor({1.0f, -2.0f, 3.0f}, {1, 3});
  const Tensor expected = linear(relu(linear(x, p[0].tensor, p[1].tensor)), p[2].tensor);
  EXPECT_EQ(net(x).to_vector<float>(), expected.to_vector<float>());
  EXPECT_THROW(net[3], ShapeError);
}

TEST(Activations, AreTheirFunctions) {
  const Tensor x = tensor({-1.0f, 0.5f, 2.0f, 3.0f}, {1, 2, 2});
  const auto same = [&](nn::Module&& module, const Tensor& expected) {
    EXPECT_EQ(module(x).to_vector<float>(), expected.to_vector<float>());
    EXPECT_EQ(module(x).shape(), expected.shape());
  };
  same(nn::ReLU(), relu(x));
  same(nn::GELU(), gelu(x));
  same(nn::GELU(Gelu::tanh), gelu(x, Gelu::tanh));
  same(nn::SiLU(), silu(x));
  same(nn::Tanh(), tanh(x));
  same(nn::Sigmoid(), sigmoid(x));
  same(nn::Flatten(), x.reshape({1, 4}));
}

}  // namespace
}  // namespace tutti
