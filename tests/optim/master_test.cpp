#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tutti/optim/adam.h"
#include "tutti/optim/clip_grad.h"
#include "tutti/optim/sgd.h"
#include "tutti/tensor/creation.h"
#include "tutti/tensor/fingerprint.h"

namespace tutti {
namespace {

// A 16-bit parameter, and an f32 one that gets the same gradients.
struct Pair {
  Tensor rounded, exact;

  explicit Pair(DType dtype)
      : rounded(tensor({1.0f, -2.0f, 0.5f}).to(dtype).set_requires_grad()),
        exact(tensor({1.0f, -2.0f, 0.5f}).set_requires_grad()) {}

  void set_gradients(float scale) {
    const Tensor g = tensor({0.1f * scale, -0.2f, 0.3f * scale}).to(rounded.dtype());
    rounded.set_grad(g);
    exact.set_grad(g.to(DType::f32));
  }
};

std::vector<float> values(const Tensor& x) { return x.detach().to(DType::f32).to_vector<float>(); }

TEST(Master, IsUpdatedAsAnF32ParameterIs) {
  for (const DType dtype : {DType::bf16, DType::f16}) {
    const auto compare = [&](auto make) {
      Pair pair(dtype);
      auto a = make(NamedTensors{{"p", pair.rounded}}), b = make(NamedTensors{{"p", pair.exact}});
      for (const float scale : {1.0f, 3.0f, -0.5f}) {
        pair.set_gradients(scale);
        a.step();
        b.step();
      }
      const auto kept = a.state_dict(), expected = b.state_dict();
      EXPECT_EQ(a.state_names().back(), "master");
      for (std::size_t i = 0; i + 1 < expected.size(); ++i) {
        EXPECT_EQ(kept[i].name, expected[i].name);
        EXPECT_EQ(values(kept[i].tensor), values(expected[i].tensor)) << kept[i].name;
      }
      EXPECT_EQ(kept[expected.size() - 1].name, "master.p");
      EXPECT_EQ(kept[expected.size() - 1].tensor.dtype(), DType::f32);
      EXPECT_EQ(values(kept[expected.size() - 1].tensor), values(pair.exact));
      EXPECT_EQ(values(pair.rounded), values(pair.exact.detach().to(dtype)));
    };
    compare([](const NamedTensors& p) { return optim::SGD(p, {.lr = 0.1}); });
    compare([](const NamedTensors& p) {
      return optim::SGD(p, {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.1});
    });
    compare([](const NamedTensors& p) { return optim::AdamW(p, {.lr = 0.01}); });
    compare([](const NamedTensors& p) { return optim::Adam(p, {.lr = 0.01, .weight_decay = 0.1}); });
  }
}

// Each of them is lost in bf16.
TEST(Master, SmallStepsAddUp) {
  Tensor p = ones({1}, {.dtype = DType::bf16}).set_requires_grad();
  optim::SGD optimizer({{"p", p}}, {.lr = 1.0 / 1024});
  for (int i = 0; i < 512; ++i) {
    p.set_grad(ones({1}, {.dtype = DType::bf16}));
    optimizer.step();
  }
  EXPECT_EQ(p.item(), 0.5);
}

TEST(Master, OnlyOf16Bits) {
  const Tensor a = zeros({2}).set_requires_grad(), b = zeros({2}, {.dtype = DType::f16}).set_requires_grad();
  optim::AdamW optimizer({{"a", a}, {"b", b}});
  std::vector<std::string> names;
  for (const auto& [name, tensor] : optimizer.state_dict()) names.push_back(name);
  EXPECT_THAT(names, testing::ElementsAre("step.a", "exp_avg.a", "exp_avg_sq.a", "step.b", "exp_avg.b",
                                          "exp_avg_sq.b", "master.b", "kind"));
}

// In whichever order parameters and state are loaded, the run goes on to the same bits.
TEST(Master, GoesOnFromACheckpoint) {
  for (const bool parameters_last : {false, true}) {
    Pair whole(DType::bf16), halves(DType::bf16);
    optim::AdamW first({{"p", whole.rounded}}, {.lr = 0.01});
    for (int i = 0; i < 5; ++i) {
      whole.set_gradients(static_cast<float>(i));
      first.step();
    }
    optim::AdamW second({{"p", halves.rounded}}, {.lr = 0.01});
    if (parameters_last) second.load_state_dict(first.state_dict());
    halves.rounded.copy_(whole.rounded.detach());
    if (!parameters_last) second.load_state_dict(first.state_dict());
    for (auto* optimizer : {&first, &second}) {
      (optimizer == &first ? whole : halves).set_gradients(2);
      optimizer->step();
    }
    EXPECT_EQ(fingerprint(second.state_dict()), fingerprint(first.state_dict()));
    EXPECT_EQ(values(halves.rounded), values(whole.rounded));
  }
}

TEST(Master, FollowsWhatOthersDoToTheParameter) {
  Pair pair(DType::bf16);
  optim::SGD optimizer({{"p", pair.rounded}}, {.lr = 0.1});
  pair.set_gradients(1);
  optimizer.step();
  pair.rounded.fill_(4);
  pair.rounded.set_grad(zeros({3}, {.dtype = DType::bf16}));
  optimizer.step();
  EXPECT_THAT(values(pair.rounded), testing::Each(4));
}

TEST(Master, GradientsOf16BitsAreClipped) {
  for (const DType dtype : {DType::bf16, DType::f16}) {
    Tensor p = zeros({2}, {.dtype = dtype}).set_requires_grad();
    p.set_grad(tensor({3.0f, 4.0f}).to(dtype));
    EXPECT_EQ(optim::clip_grad_norm_({{"p", p}}, 0.5), 5);
    EXPECT_NEAR(values(p.grad())[0], 0.3, 2e-3);
    EXPECT_NEAR(values(p.grad())[1], 0.4, 2e-3);
  }
}

TEST(ClipGradNorm, LeavesItsNormWhereTheGradientsAre) {
  Tensor p = zeros({2}).set_requires_grad();
  p.set_grad(tensor({3.0f, 4.0f}));
  const Tensor norm = optim::clip_grad_norm_async_({{"p", p}}, 10);
  EXPECT_EQ(norm.dtype(), DType::f64);
  EXPECT_EQ(norm.item(), 5);
  EXPECT_EQ(optim::clip_grad_norm_async_({}, 10).item(), 0);
}

}  // namespace
}  // namespace tutti
