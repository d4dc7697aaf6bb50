#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/math.h"
#include "tutti/autograd/reduce.h"
#include "tutti/core/error.h"
#include "tutti/optim/adam.h"
#include "tutti/optim/sgd.h"
#include "tutti/tensor/creation.h"
#include "tutti/tensor/fingerprint.h"

namespace tutti {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

// One parameter and the gradients that it meets at each step.
struct Trial {
  Tensor p = tensor({1.0, -2.0, 0.5}).set_requires_grad();
  std::vector<std::vector<double>> gradients{{0.1, -0.2, 0.3}, {0.5, 0.1, -0.7}, {-0.4, 0.2, 0.2}};

  NamedTensors parameters() const { return {{"p", p}}; }
  std::vector<double> run(optim::Optimizer& optimizer) {
    for (const auto& g : gradients) {
      p.set_grad(from(g, {3}));
      optimizer.step();
    }
    return p.to_vector<double>();
  }
  // The same for each element by `update(p, g, step)`, steps from 1.
  template <typename F>
  std::vector<double> by_hand(F make_update) const {
    std::vector<double> result = p.to_vector<double>();
    for (std::size_t i = 0; i < result.size(); ++i) {
      auto update = make_update();
      for (std::size_t k = 0; k < gradients.size(); ++k) {
        result[i] = update(result[i], gradients[k][i], static_cast<double>(k + 1));
      }
    }
    return result;
  }
};

void expect_near(const std::vector<double>& got, const std::vector<double>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-14);
}

TEST(Sgd, Plain) {
  Trial trial;
  const auto want = trial.by_hand([] { return [](double p, double g, double) { return p - 0.1 * g; }; });
  optim::SGD optimizer(trial.parameters(), {.lr = 0.1});
  expect_near(trial.run(optimizer), want);
}

TEST(Sgd, MomentumDampeningAndDecay) {
  Trial trial;
  const auto want = trial.by_hand([] {
    return [b = 0.0](double p, double g, double step) mutable {
      g += 0.01 * p;
      b = step == 1 ? g : 0.9 * b + (1 - 0.3) * g;
      return p - 0.1 * b;
    };
  });
  optim::SGD optimizer(trial.parameters(),
                       {.lr = 0.1, .momentum = 0.9, .dampening = 0.3, .weight_decay = 0.01});
  expect_near(trial.run(optimizer), want);
}

TEST(Sgd, Nesterov) {
  Trial trial;
  const auto want = trial.by_hand([] {
    return [b = 0.0](double p, double g, double) mutable {
      b = 0.9 * b + g;
      return p - 0.1 * (g + 0.9 * b);
    };
  });
  optim::SGD optimizer(trial.parameters(), {.lr = 0.1, .momentum = 0.9, .nesterov = true});
  expect_near(trial.run(optimizer), want);
}

auto adam_by_hand(double coupled, double decoupled) {
  return [=] {
    return [=, m = 0.0, v = 0.0](double p, double g, double t) mutable {
      g += coupled * p;
      p *= 1 - 0.1 * decoupled;
      m = 0.8 * m + 0.2 * g;
      v = 0.9 * v + 0.1 * g * g;
      return p - 0.1 * (m / (1 - std::pow(0.8, t))) / (std::sqrt(v / (1 - std::pow(0.9, t))) + 1e-6);
    };
  };
}

TEST(Adam, AddsDecayToTheGradient) {
  Trial trial;
  const auto want = trial.by_hand(adam_by_hand(0.05, 0));
  optim::Adam optimizer(trial.parameters(),
                        {.lr = 0.1, .beta1 = 0.8, .beta2 = 0.9, .eps = 1e-6, .weight_decay = 0.05});
  expect_near(trial.run(optimizer), want);
}

TEST(AdamW, TakesDecayOffTheParameter) {
  Trial trial;
  const auto want = trial.by_hand(adam_by_hand(0, 0.05));
  optim::AdamW optimizer(trial.parameters(),
                         {.lr = 0.1, .beta1 = 0.8, .beta2 = 0.9, .eps = 1e-6, .weight_decay = 0.05});
  expect_near(trial.run(optimizer), want);
}

TEST(Optimizer, SkipsWhatHasNoGradient) {
  const Tensor a = tensor({1.0f}).set_requires_grad();
  const Tensor b = tensor({1.0f}).set_requires_grad();
  optim::AdamW optimizer({{"a", a}, {"b", b}});
  sum(a * 2).backward();
  optimizer.step();
  EXPECT_NE(a.item(), 1);
  EXPECT_EQ(b.item(), 1);
  EXPECT_EQ(optimizer.state_dict()[0].tensor.item<int>(), 1);
  EXPECT_EQ(optimizer.state_dict()[3].tensor.item<int>(), 0);
}

TEST(Optimizer, GroupsHaveTheirOwnOptions) {
  Trial a, b;
  optim::SGD optimizer({{.parameters = {{"a", a.p}}, .options = {.lr = 0.1}},
                        {.parameters = {{"b", b.p}}, .options = {.lr = 0.2, .weight_decay = 0.5}}});
  EXPECT_EQ(optimizer.group_count(), 2u);
  EXPECT_EQ(optimizer.lr(1), 0.2);
  a.p.set_grad(ones_like(a.p));
  b.p.set_grad(ones_like(b.p));
  optimizer.step();
  EXPECT_DOUBLE_EQ(a.p.to_vector<double>()[0], 1 - 0.1);
  EXPECT_DOUBLE_EQ(b.p.to_vector<double>()[0], 1 - 0.2 * 1.5);
  optimizer.set_lr(0);
  optimizer.step();
  EXPECT_DOUBLE_EQ(b.p.to_vector<double>()[0], 1 - 0.2 * 1.5);
}

TEST(Optimizer, ZeroGradKeepsViewsIntoBuckets) {
  Trial trial;
  std::vector<double> bucket{7, 7, 7, 7};
  trial.p.set_grad(from_buffer(bucket, {4}).slice(0, 1, 4));
  optim::SGD optimizer(trial.parameters());
  optimizer.zero_grad();
  EXPECT_THAT(bucket, ElementsAre(7, 0, 0, 0));
  optimizer.zero_grad(true);
  EXPECT_FALSE(trial.p.grad().defined());
}

TEST(Optimizer, GoesOnFromItsState) {
  Trial whole, halves;
  optim::AdamW reference(whole.parameters(), {.lr = 0.1});
  whole.run(reference);
  const auto want = whole.run(reference);

  optim::AdamW first(halves.parameters(), {.lr = 0.1});
  halves.run(first);
  optim::AdamW second(halves.parameters(), {.lr = 0.1});
  second.load_state_dict(first.state_dict());
  EXPECT_EQ(halves.run(second), want);
}

TEST(Optimizer, StateIsNamedAndChecked) {
  Trial trial;
  optim::SGD plain(trial.parameters());
  ASSERT_EQ(plain.state_dict().size(), 2u);
  optim::SGD optimizer(trial.parameters(), {.momentum = 0.9});
  ASSERT_EQ(optimizer.state_dict().size(), 3u);
  EXPECT_EQ(optimizer.state_dict()[0].name, "step.p");
  EXPECT_EQ(optimizer.state_dict()[1].name, "momentum_buffer.p");
  EXPECT_EQ(optimizer.state_dict()[2].name, "kind");
  EXPECT_THAT(
      [&] {
        optimizer.load_state_dict({{"step.p", zeros({}, {.dtype = DType::i64})}, plain.state_dict()[1]});
      },
      ThrowsMessage<DataError>(
          HasSubstr("SGD::load_state_dict: the state does not fit; 1 missing: momentum_buffer.p")));
}

TEST(Optimizer, TheStateOfAnotherIsRefusedByBothNames) {
  Trial trial;
  optim::Adam adam(trial.parameters());
  optim::AdamW adamw(trial.parameters());
  trial.run(adam);
  const auto before = fingerprint(adamw.state_dict());
  EXPECT_THAT([&] { adamw.load_state_dict(adam.state_dict()); },
              ThrowsMessage<DataError>(
                  HasSubstr("AdamW: the state is of Adam: a run goes on with the optimizer it began with")));
  EXPECT_EQ(fingerprint(adamw.state_dict()), before);
}

TEST(Optimizer, GroupsThatAreNotThereAreRefused) {
  Trial trial;
  optim::SGD sgd(trial.parameters(), {.lr = 0.5});
  EXPECT_EQ(sgd.lr(0), 0.5);
  EXPECT_THAT([&] { sgd.lr(1); },
              ThrowsMessage<ConfigError>(HasSubstr("SGD: there is no group 1: it has 1")));
  EXPECT_THAT([&] { sgd.set_lr(1, 7); },
              ThrowsMessage<ConfigError>(HasSubstr("SGD: there is no group 7: it has 1")));
}

TEST(Optimizer, AnUpdateIsSeenByTheTape) {
  Trial trial;
  const Tensor loss = sum(trial.p * trial.p);
  trial.p.set_grad(ones_like(trial.p));
  optim::SGD optimizer(trial.parameters());
  optimizer.step();
  EXPECT_THROW(loss.backward(), AutogradError);
}

TEST(Optimizer, RefusesWhatItCannotTrain) {
  Trial trial;
  const Tensor p = trial.p;
  EXPECT_THAT([&] { optim::SGD({{"p", p}, {"q", p}}); }, ThrowsMessage<ConfigError>("SGD: q is given twice"));
  EXPECT_THAT(
      [&] {
        optim::Adam({{"p", zeros({2})}});
      },
      ThrowsMessage<ConfigError>("Adam: p does not require a gradient"));
  EXPECT_THROW(optim::SGD({{"p", p}}, {.lr = -1}), ConfigError);
  EXPECT_THROW(optim::SGD({{"p", p}}, {.nesterov = true}), ConfigError);
  EXPECT_THROW(optim::AdamW({{"p", p}}, {.beta1 = 1}), ConfigError);
}

}  // namespace
}  // namespace tutti
