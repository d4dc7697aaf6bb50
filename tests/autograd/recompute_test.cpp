#include "tutti/autograd/recompute.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tutti/core/error.h"
#include "tutti/tutti.h"

namespace tutti {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

using Inputs = std::vector<Tensor>;

// x and w are used twice each, so that the order in which their gradients are summed shows.
Tensor twice(const Inputs& in) {
  const Tensor a = tanh(matmul(in[0], in[1]));
  return a * 0.3 + matmul(gelu(in[0]), in[1]);
}

struct Bits {
  std::vector<float> x, w;
  bool operator==(const Bits&) const = default;
};

// Both are used before, within and after `f`, x as a leaf and as a result.
Bits gradients(const std::function<Tensor(const Inputs&)>& f) {
  Generator rng(1);
  const Tensor x = randn({8, 8}, rng).set_requires_grad();
  const Tensor w = randn({8, 8}, rng).set_requires_grad();
  const Tensor before = matmul(x, w) * 0.1;
  const Tensor within = f({x, w}) + f({before, w});
  const Tensor after = matmul(within, w) + before * within + x;
  mean(square(after)).backward();
  return {x.grad().to_vector<float>(), w.grad().to_vector<float>()};
}

TEST(Recompute, GivesTheSameBits) {
  EXPECT_EQ(gradients([](const Inputs& in) { return recompute(twice, in); }), gradients(twice));
}

TEST(Recompute, Nests) {
  int runs = 0;
  const auto inner = [&runs](const Inputs& in) {
    ++runs;
    return twice(in);
  };
  const auto outer = [&](const Inputs& in) {
    return tanh(recompute(inner, in) * in[0] + recompute(inner, {in[1], in[0]}));
  };
  const auto plain = [](const Inputs& in) { return tanh(twice(in) * in[0] + twice({in[1], in[0]})); };
  EXPECT_EQ(gradients([&](const Inputs& in) { return recompute(outer, in); }), gradients(plain));
  // Twice each for f's two uses: at first, when the outer one is run again, and by itself.
  EXPECT_EQ(runs, 2 * 2 * 3);
}

TEST(Recompute, KeepsTheInputsOnly) {
  std::vector<std::weak_ptr<Storage>> made;
  std::vector<bool> recorded;
  const auto chain = [&](const Inputs& in) {
    recorded.push_back(grad_enabled());
    Tensor y = in[0];
    for (int i = 0; i < 4; ++i) {
      y = tanh(y);
      made.push_back(y.storage());
    }
    return sum(y);
  };
  const auto kept = [&made] {
    return std::ranges::count_if(made, [](const auto& storage) { return !storage.expired(); });
  };
  const Tensor x = ones({16}).set_requires_grad();
  const Tensor plain = chain({x});
  EXPECT_EQ(kept(), 4);
  made.clear();
  const Tensor loss = recompute(chain, {x});
  EXPECT_EQ(kept(), 0);
  loss.backward();
  EXPECT_EQ(kept(), 0);
  EXPECT_EQ(made.size(), 8u);
  EXPECT_THAT(recorded, ElementsAre(true, false, true));  // plain, at first, again
}

TEST(Recompute, DrawsTheSameNumbersAndLeavesGeneratorsWhereTheyAre) {
  Generator rng(7);
  const auto noisy = [&rng](const Inputs& in) { return in[0] * rand(in[0].shape(), rng); };
  const Tensor x = ones({5}).set_requires_grad();
  const Tensor y = recompute(noisy, {x}, {.generators = {rng}});
  const Tensor z = recompute(noisy, {x}, {.generators = {rng}});
  const auto position = rng.state().position;
  sum(y + z * 10).backward();
  const Tensor expected = y.detach() + z.detach() * 10;
  EXPECT_EQ(x.grad().to_vector<float>(), expected.to_vector<float>());
  EXPECT_EQ(rng.state().position, position);
}

TEST(Recompute, HooksRunOnceWhenAllUsesAreIn) {
  Tensor w = full({1}, 2).set_requires_grad();
  std::vector<float> seen;
  w.register_grad_hook([&seen](Tensor& leaf) { seen.push_back(leaf.grad().item()); });
  const auto square_of = [](const Inputs& in) { return in[0] * in[0]; };
  // A later use is complete before the others, and the replayed ones know of theirs only then.
  const Tensor y = recompute(square_of, {w}) * w + recompute(square_of, {w}) + w;
  y.backward();
  EXPECT_THAT(seen, ElementsAre(3 * 4 + 2 * 2 + 1));
}

TEST(Recompute, ALeafThatIsNotUsedGetsItsHookAndNoGradient) {
  Tensor x = full({1}, 2).set_requires_grad(), idle = full({1}, 3).set_requires_grad();
  int calls = 0;
  idle.register_grad_hook([&calls](Tensor&) { ++calls; });
  recompute([](const Inputs& in) { return in[0] * 5; }, {x, idle}).backward();
  EXPECT_EQ(x.grad().item(), 5);
  EXPECT_FALSE(idle.grad().defined());
  EXPECT_EQ(calls, 1);
}

TEST(Recompute, MayReturnAnInput) {
  const auto same = [](const Inputs& in) { return in[0]; };
  const Tensor x = ones({2}).set_requires_grad();
  const Tensor y = x * 3;
  EXPECT_TRUE(recompute(same, {x}).requires_grad());
  sum(recompute(same, {x}) + recompute(same, {y})).backward();
  EXPECT_THAT(x.grad().to_vector<float>(), ElementsAre(4, 4));
}

TEST(Recompute, OfSeveralResultsSomeMayBeLeftAside) {
  const auto both = [](const Inputs& in) { return std::vector{in[0] * 2, in[1] * 3}; };
  Tensor x = ones({1}).set_requires_grad(), y = ones({1}).set_requires_grad();
  int calls = 0;
  x.register_grad_hook([&calls](Tensor&) { ++calls; });
  recompute_all(both, {x, y})[1].backward();
  EXPECT_FALSE(x.grad().defined());
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(y.grad().item(), 3);
  const auto results = recompute_all(both, {x, y});
  (results[0] * results[1]).backward();
  EXPECT_EQ(x.grad().item(), 2 * 3);
  EXPECT_EQ(y.grad().item(), 3 + 3 * 2);
}

TEST(Recompute, RetainedGraphsGoTwice) {
  const Tensor x = full({1}, 3).set_requires_grad();
  const Tensor y = recompute([](const Inputs& in) { return in[0] * in[0]; }, {x});
  y.backward(true);
  y.backward();
  EXPECT_EQ(x.grad().item(), 12);
  EXPECT_THAT([&] { y.backward(); }, ThrowsMessage<AutogradError>(HasSubstr("retain_graph")));
}

TEST(Recompute, WithoutAGradientIsJustACall) {
  int runs = 0;
  const Tensor w = ones({1}).set_requires_grad();
  const auto f = [&](const Inputs& in) {
    ++runs;
    return in[0] * w;
  };
  recompute(f, {ones({1})}).backward();
  EXPECT_EQ(w.grad().item(), 1);
  EXPECT_EQ(runs, 1);
  NoGrad no_grad;
  EXPECT_FALSE(recompute(f, {w}).requires_grad());
}

TEST(Recompute, RefusesWhatItWouldGetWrong) {
  const Tensor x = ones({2}).set_requires_grad(), w = ones({2}).set_requires_grad();
  const Tensor result = w * 2;
  const auto message_of = [&](const std::function<Tensor(const Inputs&)>& f) {
    try {
      sum(recompute(f, {x})).backward();
    } catch (const AutogradError& error) {
      return std::string(error.what());
    }
    return std::string("none");
  };
  EXPECT_EQ(message_of([](const Inputs& in) { return in[0].detach() * 2; }),
            "backward: 'recompute' recorded nothing when it was run again: no result depends on an input "
            "that requires a gradient");
  EXPECT_EQ(message_of([&](const Inputs& in) { return in[0] * w; }),
            "backward: 'recompute' uses a leaf [2] that requires a gradient and is not among its inputs");
  EXPECT_EQ(message_of([&](const Inputs& in) { return in[0] * result; }),
            "backward: 'recompute' uses a result of 'mul' that requires a gradient and is not among its "
            "inputs");
  int runs = 0;
  EXPECT_EQ(message_of([&](const Inputs& in) {
              return runs++ == 0 ? in[0] : in[0].reshape({1, 2});
            }),
            "backward: 'recompute' gave f32 [2] at first and f32 [1, 2] when it was run again");
  EXPECT_THROW(recompute([](const Inputs& in) { return ge(in[0], 0); }, {x}), DTypeError);
  EXPECT_THROW(recompute_all([](const Inputs&) { return Inputs(); }, {x}), AutogradError);
  for (Tensor input : {ones({2}), ones({2}).set_requires_grad()}) {
    const Tensor y = recompute([](const Inputs& in) { return sum(in[0] + in[1]); }, {x, input});
    input.zero_();
    EXPECT_THAT([&] { y.backward(); }, ThrowsMessage<AutogradError>(HasSubstr("changed in place")));
  }
}

TEST(Recompute, AnErrorOfTheFunctionLeavesModesAndGeneratorsAsTheyWere) {
  Generator rng(1);
  int runs = 0;
  const auto f = [&](const Inputs& in) {
    rand({4}, rng);
    if (++runs >= 2) throw DataError("the second time");
    return in[0] * 2;
  };
  const Tensor y = recompute(f, {ones({1}).set_requires_grad()}, {.generators = {rng}});
  const auto position = rng.state().position;
  EXPECT_THROW(y.backward(), DataError);
  EXPECT_EQ(rng.state().position, position);
  EXPECT_TRUE(grad_enabled());
  NoGrad no_grad;
  EXPECT_THROW(y.backward(), DataError) << "it still can";
  EXPECT_FALSE(grad_enabled());
}

}  // namespace
}  // namespace tutti
