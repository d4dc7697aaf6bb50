#include "tutti/autograd/loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/gradcheck.h"
#include "tutti/autograd/node.h"
#include "tutti/autograd/softmax.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

using test::expect_gradients;
using test::sample;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;
using Inputs = std::vector<Tensor>;

Tensor classes(std::initializer_list<std::int64_t> values) { return tensor(values); }

// The definition by log_softmax; target -100 is ignored.
std::vector<double> naive(const Tensor& logits, const std::vector<std::int64_t>& targets, double smoothing) {
  const Tensor log_p = log_softmax(logits);
  const auto n = static_cast<double>(logits.size(-1));
  std::vector<double> losses;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (targets[i] == -100) {
      losses.push_back(0);
      continue;
    }
    const Tensor row = log_p.select(0, static_cast<std::int64_t>(i));
    losses.push_back(-(1 - smoothing) * row.select(0, targets[i]).item<double>() -
                     smoothing / n * sum(row).item<double>());
  }
  return losses;
}

TEST(CrossEntropy, AgreesWithTheDefinition) {
  for (const std::int64_t n : {1, 3, 17, 70}) {
    for (const double smoothing : {0.0, 0.1, 1.0}) {
      const Tensor x = sample({4, n}, 3);
      const std::vector<std::int64_t> targets{0, n - 1, -100, n / 2};
      const auto got =
          cross_entropy(x, from(targets, {4}), {.label_smoothing = smoothing, .reduction = Reduction::none})
              .to_vector<double>();
      const auto want = naive(x, targets, smoothing);
      for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(got[i], want[i], 1e-12) << n << " " << smoothing;
    }
  }
}

// The gradient takes the place of logits that nobody else holds, and of those alone.
TEST(CrossEntropy, GradientOverwritesLogitsThatAreNoLongerNeeded) {
  const Tensor t = classes({1, 4, 0});
  Tensor plain = sample({3, 5}).set_requires_grad();
  cross_entropy(plain, t).backward();
  for (const bool held : {false, true}) {
    for (const bool retained : {false, true}) {
      Tensor x = sample({3, 5}).set_requires_grad();
      const void* gradient = nullptr;
      Tensor logits =
          autograd::record("probe", x.detach().clone(), {x}, [&gradient](const Tensor& g, autograd::Needs) {
            gradient = g.raw_data();
            return autograd::Gradients{g};
          });
      const void* const place = logits.raw_data();
      const Tensor loss = cross_entropy(logits, t);
      if (!held) logits = Tensor();
      loss.backward(retained);
      EXPECT_EQ(gradient == place, !held && !retained);
      EXPECT_EQ(x.grad().to_vector<double>(), plain.grad().to_vector<double>());
      if (held) {
        EXPECT_EQ(logits.to_vector<double>(), x.to_vector<double>());
      }
      if (retained) {
        x.set_grad({});
        loss.backward();
        EXPECT_EQ(x.grad().to_vector<double>(), plain.grad().to_vector<double>());
      }
    }
  }
}

TEST(CrossEntropy, MeanIsOverWhatCounts) {
  const Tensor x = sample({3, 5});
  const Tensor t = classes({1, -100, 4});
  const auto each = cross_entropy(x, t, {.reduction = Reduction::none}).to_vector<double>();
  EXPECT_NEAR(cross_entropy(x, t).item<double>(), (each[0] + each[2]) / 2, 1e-12);
  EXPECT_NEAR(cross_entropy(x, t, {.reduction = Reduction::sum}).item<double>(), each[0] + each[2], 1e-12);
  EXPECT_TRUE(std::isnan(cross_entropy(x, classes({-100, -100, -100})).item()));
}

TEST(CrossEntropy, LargeLogitsNeitherOverflowNorLoseTheLoss) {
  const Tensor x = tensor({1000.0f, 990.0f, 0.0f}, {1, 3});
  EXPECT_NEAR(cross_entropy(x, classes({0})).item(), 4.5398899e-5f, 6e-8f);
  EXPECT_FLOAT_EQ(cross_entropy(x, classes({2})).item(), 1000.0f);
}

TEST(CrossEntropy, LeadingDimensionsAreRows) {
  const Tensor x = sample({2, 3, 4});
  const Tensor t = classes({0, 1, 2, 3, 2, 1});
  EXPECT_EQ(cross_entropy(x, t.reshape({2, 3})).item<double>(),
            cross_entropy(x.reshape({6, 4}), t).item<double>());
  EXPECT_EQ(cross_entropy(x.reshape({6, 4}), t.to(DType::i32)).item<double>(),
            cross_entropy(x.reshape({6, 4}), t).item<double>());
}

TEST(CrossEntropy, GradientsMatchFiniteDifferences) {
  const Tensor t = classes({2, -100, 0, 4});
  for (const auto reduction : {Reduction::mean, Reduction::sum, Reduction::none}) {
    for (const double smoothing : {0.0, 0.2}) {
      expect_gradients(
          [&](const Inputs& in) {
            return cross_entropy(in[0], t, {.label_smoothing = smoothing, .reduction = reduction});
          },
          {sample({4, 5})});
    }
  }
  // The gradient of each row has its own factor, and the scores are a view.
  expect_gradients(
      [&](const Inputs& in) {
        return cross_entropy(in[0].transpose(0, 1), t, {.reduction = Reduction::none});
      },
      {sample({5, 4})});
}

TEST(CrossEntropy, OfSixteenBitsIsInF32) {
  for (const DType dtype : {DType::bf16, DType::f16}) {
    const Tensor logits = sample({3, 5}).to(dtype).set_requires_grad();
    const Tensor targets = classes({0, 4, 2});
    const Tensor loss = cross_entropy(logits, targets);
    EXPECT_EQ(loss.dtype(), DType::f32);
    EXPECT_EQ(loss.item(), cross_entropy(logits.detach().to(DType::f32), targets).item());
    loss.backward();
    EXPECT_EQ(logits.grad().dtype(), dtype);
  }
}

TEST(CrossEntropy, NamesTheBadTarget) {
  const Tensor x = zeros({3, 10});
  if (default_device().is_cuda()) {  // which nobody waits for
    EXPECT_TRUE(std::isnan(cross_entropy(x, classes({1, 2, 10})).item()));
    EXPECT_TRUE(std::isnan(cross_entropy(x, classes({1, -1, 2})).item()));
    return;
  }
  EXPECT_THAT(
      [&] {
        cross_entropy(x, classes({1, 2, 10}));
      },
      ThrowsMessage<ShapeError>("cross_entropy: target 10 at position 2 is outside [0, 10)"));
  EXPECT_THAT(
      [&] {
        cross_entropy(x, classes({1, -1, 2}));
      },
      ThrowsMessage<ShapeError>(HasSubstr("target -1 at position 1")));
  EXPECT_THAT(
      [&] {
        cross_entropy(x, classes({1, 2}));
      },
      ThrowsMessage<ShapeError>(HasSubstr("got [3, 10] and [2]")));
  EXPECT_THROW(cross_entropy(x, zeros({3})), DTypeError);
  EXPECT_THROW(cross_entropy(x, classes({1, 2, 3}), {.label_smoothing = 2}), ConfigError);
}

TEST(MseLoss, IsTheMeanOfSquares) {
  const Tensor x = tensor({1.0f, 2.0f, 4.0f});
  const Tensor t = tensor({0.0f, 2.0f, 1.0f});
  EXPECT_FLOAT_EQ(mse_loss(x, t).item(), 10.0f / 3);
  EXPECT_EQ(mse_loss(x, t, Reduction::sum).item(), 10);
  EXPECT_THAT(mse_loss(x, t, Reduction::none).to_vector<float>(), ElementsAre(1, 0, 9));
  EXPECT_THROW(mse_loss(zeros({3}), zeros({3, 1})), ShapeError);
  expect_gradients([](const Inputs& in) { return mse_loss(in[0], in[1]); },
                   {sample({2, 3}), sample({2, 3}, 0.7)});
}

TEST(BinaryCrossEntropy, IsExactAtBothEnds) {
  const Tensor x = tensor({0.0f, 20.0f, -20.0f, 200.0f, -200.0f});
  const Tensor t = tensor({1.0f, 1.0f, 0.0f, 0.0f, 1.0f});
  const auto loss = binary_cross_entropy_with_logits(x, t, Reduction::none).to_vector<float>();
  EXPECT_FLOAT_EQ(loss[0], std::log(2.0f));
  EXPECT_NEAR(loss[1] / 2.0611536e-9, 1, 1e-5);
  EXPECT_NEAR(loss[2] / 2.0611536e-9, 1, 1e-5);
  EXPECT_FLOAT_EQ(loss[3], 200);
  EXPECT_FLOAT_EQ(loss[4], 200);
}

TEST(BinaryCrossEntropy, AgreesWithTheDefinition) {
  const Tensor x = sample({40}, 2);
  const Tensor t = sigmoid(sample({40}, 1.3));
  const auto got = binary_cross_entropy_with_logits(x, t, Reduction::none).to_vector<double>();
  const auto want = -(t * log(sigmoid(x)) + (1 - t) * log(1 - sigmoid(x)));
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want.to_vector<double>()[i], 1e-12);
  expect_gradients([&](const Inputs& in) { return binary_cross_entropy_with_logits(in[0], t); }, {x});
}

}  // namespace
}  // namespace tutti
