#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tutti/core/error.h"
#include "tutti/tutti.h"

namespace tutti {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

Tensor leaf(std::initializer_list<float> values) { return tensor(values).set_requires_grad(); }

TEST(Backward, FollowsTheChainRule) {
  const Tensor x = leaf({1, 2, 3});
  sum(x * x * 2 + x).backward();
  EXPECT_THAT(x.grad().to_vector<float>(), ElementsAre(5, 9, 13));
}

TEST(Backward, AddsUpOverCallsAndUses) {
  const Tensor x = leaf({1, 2});
  sum(x).backward();
  sum(x + x).backward();
  EXPECT_THAT(x.grad().to_vector<float>(), ElementsAre(3, 3));
}

TEST(Backward, AddsIntoTheGradientThatIsThere) {
  const Tensor bucket = full({3}, 10);
  Tensor x = leaf({1, 2});
  x.set_grad(bucket.slice(0, 1, 3));
  sum(x * 2).backward();
  EXPECT_THAT(bucket.to_vector<float>(), ElementsAre(10, 12, 12));
}

// In f32, 1 + e is 1 where 1 + 2 e is more.
TEST(Backward, SumsThePassBeforeItMeetsAnEarlierGradient) {
  const float e = 0x1p-24f;
  ASSERT_EQ((1 + e) + e, 1);
  ASSERT_EQ(1 + (e + e), 1 + 0x1p-23f);
  const Tensor tied = leaf({5});
  sum(tied * 1).backward();
  sum(tied * e + tied * e).backward();
  EXPECT_EQ(tied.grad().item(), 1 + 0x1p-23f);
}

TEST(Backward, SumsThePassInTheOrderOfItsContributions) {
  const auto gradient_of = [](const std::vector<double>& factors) {
    const Tensor x = leaf({1});
    std::vector<Tensor> parts;
    for (const double factor : factors) parts.push_back(x * factor);
    sum(cat(parts)).backward();
    return x.grad().item();
  };
  // The part that was recorded last comes first.
  EXPECT_EQ(gradient_of({1, 0x1p-24, 0x1p-24}), 1 + 0x1p-23f);
  EXPECT_EQ(gradient_of({0x1p-24, 0x1p-24, 1}), 1);
}

TEST(Backward, TakesASingleContributionAsItIs) {
  const Tensor x = leaf({1, 2});
  std::weak_ptr<Storage> storage;
  autograd::record("probe", ones({2}), {x}, [&](const Tensor&, autograd::Needs) {
    Tensor gradient = full({2}, 3);
    storage = gradient.storage();
    return autograd::Gradients{std::move(gradient)};
  }).backward(ones({2}));
  EXPECT_EQ(storage.lock(), x.grad().storage());
}

TEST(Backward, ReplacesAStaleGradientWhereItLies) {
  std::vector<float> bucket{10, 10, 10};
  Tensor x = leaf({1, 2});
  x.set_grad(from_buffer(bucket, {3}).slice(0, 1, 3));
  x.autograd_meta()->grad_is_stale = true;
  x.register_grad_hook([&](Tensor& t) {
    EXPECT_FALSE(t.autograd_meta()->grad_is_stale);
    EXPECT_THAT(bucket, ElementsAre(10, 5, 5));
  });
  const Tensor loss = sum(x * 2 + x * 3);
  loss.backward(true);
  x.autograd_meta()->grad_is_stale = true;
  loss.backward();
  EXPECT_THAT(bucket, ElementsAre(10, 5, 5));
}

TEST(Backward, AStaleGradientStaysSoUntilSomethingComes) {
  Tensor x = leaf({1});
  x.set_grad(full({1}, 7));
  x.autograd_meta()->grad_is_stale = true;
  autograd::record("nothing", ones({1}), {x}, [](const Tensor&, autograd::Needs) {
    return autograd::Gradients(1);
  }).backward();
  EXPECT_TRUE(x.autograd_meta()->grad_is_stale);
  EXPECT_EQ(x.grad().item(), 7);
  x.backward();
  EXPECT_EQ(x.grad().item(), 1);
  x.backward();
  EXPECT_EQ(x.grad().item(), 2);
  x.autograd_meta()->grad_is_stale = true;
  x.set_grad(full({1}, 5));
  x.backward();
  EXPECT_EQ(x.grad().item(), 6) << "a gradient that was just set is not stale";
}

TEST(Backward, TwoLeavesNeverShareAGradient) {
  const Tensor a = leaf({1});
  const Tensor b = leaf({2});
  sum(a + b).backward();
  a.grad().fill_(9);
  EXPECT_EQ(b.grad().item(), 1);
}

TEST(Backward, LeavesKeepTheirGradientsApartInLaterPasses) {
  const Tensor a = leaf({1, 2}), b = leaf({3, 4}), given = ones({2});
  for (int pass = 0; pass < 2; ++pass) ((a + b) * 2).backward(given);
  EXPECT_THAT(a.grad().to_vector<float>(), ElementsAre(4, 4));
  EXPECT_THAT(b.grad().to_vector<float>(), ElementsAre(4, 4));
  const Tensor c = leaf({5, 6});
  c.clone().backward(given);
  c.grad().zero_();
  EXPECT_THAT(given.to_vector<float>(), ElementsAre(1, 1));
}

TEST(Backward, SumsOfALeafTouchNoGradientOfOthers) {
  const Tensor a = leaf({1}), b = leaf({2}), given = ones({1});
  // The same gradient goes to a, twice, and to b.
  ((a + b) + a.reshape({1})).backward(given);
  EXPECT_EQ(a.grad().item(), 2);
  EXPECT_EQ(b.grad().item(), 1);
  EXPECT_EQ(given.item(), 1);
}

TEST(Backward, DiamondsAreWalkedOnce) {
  Tensor x = leaf({1});
  Tensor y = x;
  for (int i = 0; i < 60; ++i) y = y + y;  // 2^60 paths
  sum(y).backward();
  EXPECT_EQ(x.grad().item<double>(), 0x1p60);
}

TEST(Backward, KeepsItsOrderWhereThreadsRecordedTheParts) {
  Tensor x = full({}, 3).set_requires_grad();
  const Tensor a = square(x * 1);
  Tensor b;
  std::thread([&] { b = a * 10; }).join();  // the first that this thread records, on the result of another
  (b + a * a).backward();
  EXPECT_FLOAT_EQ(x.grad().item(), 10 * 2 * 3 + 4 * 27);
}

TEST(Backward, LongChainsNeitherOverflowRunningNorWhenDropped) {
  const Tensor x = leaf({1});
  {
    Tensor y = x;
    for (int i = 0; i < 200000; ++i) y = y + 0.0;
  }
  Tensor y = x;
  for (int i = 0; i < 200000; ++i) y = y + 0.0;
  sum(y).backward();
  EXPECT_EQ(x.grad().item(), 1);
}

TEST(Backward, TwiceIsAnError) {
  const Tensor x = leaf({1});
  const Tensor y = sum(x * x);
  y.backward();
  EXPECT_THAT([&] { y.backward(); }, ThrowsMessage<AutogradError>(HasSubstr("retain_graph")));
}

TEST(Backward, RetainedGraphsGoTwice) {
  const Tensor x = leaf({3});
  const Tensor y = sum(x * x);
  y.backward(true);
  y.backward();
  EXPECT_EQ(x.grad().item(), 12);
}

TEST(Backward, NeedsAScalarThatDependsOnSomething) {
  const Tensor x = leaf({1, 2});
  EXPECT_THAT([&] { (x * 2).backward(); }, ThrowsMessage<AutogradError>(HasSubstr("[2]")));
  EXPECT_THROW(sum(tensor({1.0f})).backward(), AutogradError);
  EXPECT_THROW((x * 2).backward(zeros({3})), AutogradError);
}

TEST(Backward, SeesInPlaceChangesOfSavedTensors) {
  const Tensor x = leaf({1, 2});
  Tensor w = tensor({3.0f, 4.0f});
  const Tensor y = sum(x * w);
  w.zero_();
  EXPECT_THAT([&] { y.backward(); }, ThrowsMessage<AutogradError>(HasSubstr("changed in place")));
}

TEST(Backward, FreesWhatWasSavedOnTheWay) {
  const Tensor x = leaf({1, 2});
  const Tensor w = tensor({3.0f, 4.0f});
  const Tensor y = sum(x * w);
  const auto held = w.storage().use_count();
  y.backward();
  EXPECT_LT(w.storage().use_count(), held);
}

TEST(Backward, PartsThatGotNoGradientAreZero) {
  const Tensor x = leaf({1, 2, 3, 4});
  const auto parts = split(x, 2);
  sum(parts[1] * 3).backward();
  EXPECT_THAT(x.grad().to_vector<float>(), ElementsAre(0, 0, 3, 3));
}

TEST(Hooks, FireOnceWhenTheGradientIsComplete) {
  Tensor x = leaf({1});
  int calls = 0;
  float seen = 0;
  x.register_grad_hook([&](Tensor& t) {
    ++calls;
    seen = t.grad().item();
  });
  sum(x * 2 + x * 3 + x).backward();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(seen, 6);
}

TEST(Hooks, RunInTheirOrderAfterTheOneAddition) {
  Tensor x = leaf({1});
  x.set_grad(full({1}, 10));
  std::vector<float> seen;
  x.register_grad_hook([&](Tensor& t) {
    seen.push_back(t.grad().item());
    t.grad().fill_(1);
  });
  x.register_grad_hook([&](Tensor& t) { seen.push_back(t.grad().item()); });
  sum(x * 2 + x * 3).backward();
  EXPECT_THAT(seen, ElementsAre(15, 1));
}

TEST(NoGradGuard, RecordsNothingAndEndsWithItsScope) {
  const Tensor x = leaf({1});
  {
    NoGrad no_grad;
    EXPECT_FALSE((x * 2).requires_grad());
  }
  EXPECT_TRUE((x * 2).requires_grad());
  EXPECT_FALSE(x.detach().requires_grad());
}

TEST(Leaf, OnlyFloatingPointLeavesCanBeTold) {
  EXPECT_THROW(arange(3).set_requires_grad(), DTypeError);
  const Tensor x = leaf({1});
  EXPECT_THROW((x * 2).set_requires_grad(false), AutogradError);
}

}  // namespace
}  // namespace tutti
