#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tutti/tutti.h"

namespace tutti {
namespace {

struct Result {
  std::vector<double> losses;
  std::vector<std::vector<float>> weights;
  bool operator==(const Result&) const = default;
};

Result train(std::optional<DType> dtype, bool recompute = false) {
  nn::Gpt model({.vocabulary = 11,
                 .layers = 2,
                 .width = 32,
                 .heads = 2,
                 .context = 8,
                 .dropout = 0.1,
                 .recompute = recompute,
                 .seed = 1});
  optim::AdamW optimizer(model.parameters(), {.lr = 3e-3});
  Generator rng(2);
  Result result;
  for (int step = 0; step < 60; ++step) {
    // Each token is the one before plus 3.
    const Tensor start = randint(0, 11, {8, 1}, rng);
    Tensor targets = (start + arange(9).reshape({1, 9}) * 3);
    targets = targets.to(DType::f64);
    targets = (targets - floor(targets / 11) * 11).to(DType::i64);
    Tensor loss;
    {
      Autocast autocast(dtype);
      loss = cross_entropy(model(targets.slice(1, 0, 8)), targets.slice(1, 1, 9));
    }
    EXPECT_EQ(loss.dtype(), DType::f32);
    loss.backward();
    for (const auto& [name, tensor] : model.parameters()) EXPECT_EQ(tensor.grad().dtype(), DType::f32);
    optimizer.step();
    optimizer.zero_grad();
    result.losses.push_back(loss.item<double>());
  }
  for (const auto& [name, tensor] : model.parameters()) result.weights.push_back(tensor.to_vector<float>());
  return result;
}

TEST(AutocastGpt, FollowsTheLossOfF32) {
  const Result wide = train(std::nullopt);
  EXPECT_LT(wide.losses.back(), 0.5 * wide.losses.front());
  for (const DType dtype : {DType::bf16, DType::f16}) {
    const Result narrow = train(dtype);
    for (std::size_t step = 0; step < wide.losses.size(); ++step) {
      EXPECT_NEAR(narrow.losses[step], wide.losses[step], 0.005) << name_of(dtype) << " at step " << step;
    }
    EXPECT_NE(narrow.weights, wide.weights);
  }
}

TEST(AutocastGpt, GivesTheSameBitsEachTimeAndRecomputed) {
  const Result first = train(DType::bf16);
  EXPECT_EQ(train(DType::bf16), first);
  EXPECT_EQ(train(DType::bf16, true), first);
}

TEST(AutocastConvolutions, NormsKeepTheirParametersInF32) {
  Generator rng(1);
  nn::Sequential net(nn::Conv2d(1, 4, 3, rng), nn::BatchNorm2d(4), nn::ReLU(), nn::MaxPool2d(2),
                     nn::Flatten(), nn::Linear(36, 3, rng));
  const Tensor images = randn({5, 1, 8, 8}, rng);
  Autocast autocast(DType::bf16);
  const Tensor logits = net(images);
  EXPECT_EQ(logits.dtype(), DType::bf16);
  cross_entropy(logits, zeros({5}, {.dtype = DType::i64})).backward();
  for (const auto& [name, tensor] : net.parameters()) {
    EXPECT_EQ(tensor.grad().dtype(), DType::f32) << name;
    EXPECT_GT(sum(abs(tensor.grad())).item(), 0) << name;
  }
}

}  // namespace
}  // namespace tutti
