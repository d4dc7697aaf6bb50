#include "tutti/autograd/loss.h"

#include "tests/cuda/rows.h"
#include "tutti/autograd/node.h"
#ifdef TUTTI_SIMULATED
#include "tests/simt/runtime.h"
#endif

namespace tutti::test {
namespace {

Tensor some_targets(std::int64_t rows, std::int64_t classes) {
  std::vector<std::int64_t> values;
  for (std::int64_t i = 0; i < rows; ++i) values.push_back(i % 3 == 1 ? -100 : (i * 31 + 7) % classes);
  return from(values, {rows});
}

TEST_F(GpuTest, CrossEntropyOfAnyNumberOfClasses) {
  for (const DType dtype : floats) {
    const auto n = static_cast<std::int64_t>(16 / size_of(dtype));
    for (const std::int64_t classes :
         {std::int64_t{1}, std::int64_t{10}, std::int64_t{75}, std::int64_t{2501}, n, 100 * n, 1500 * n}) {
      const Tensor x = numbers({5, classes}, dtype), targets = some_targets(5, classes);
      for (const double smoothing : {0.0, 0.1}) {
        for (const Reduction reduction : {Reduction::mean, Reduction::sum, Reduction::none}) {
          if (reduction != Reduction::none && classes > 100) continue;
          SCOPED_TRACE(std::string(name_of(dtype)) + " " + std::to_string(classes));
          const auto f = [&](const Tensors& in) {
            return cross_entropy(in[0], targets.to(in[0].device()),
                                 {.label_smoothing = smoothing, .reduction = reduction});
          };
          expect_same_gradients(f, {x}, gpu);
        }
      }
    }
  }
}

TEST_F(GpuTest, CrossEntropyOfOtherInputs) {
  const Tensor x = numbers({2, 3, 17}, DType::f32);
  const Tensor targets = some_targets(6, 17).reshape({2, 3});
  for (const DType dtype : {DType::i32, DType::i64}) {
    const auto f = [&](const Tensors& in) {
      return cross_entropy(in[0], targets.to(dtype).to(in[0].device()), {.ignore_index = 7});
    };
    const Tensor nothing_ignored = targets.clone().mul_(0);
    expect_same_gradients(
        [&](const Tensors& in) { return cross_entropy(in[0], nothing_ignored.to(dtype).to(in[0].device())); },
        {x}, gpu);
    EXPECT_NO_THROW(f({x.to(gpu)}));
  }
  expect_same_gradients(
      [](const Tensors& in) {
        return cross_entropy(in[0], zeros({5}, {DType::i64, in[0].device()}));
      },
      {numbers({16, 5}, DType::f32).transpose(0, 1)}, gpu);
  // Over no targets at all the mean is NaN.
  const Tensor none = full({2}, -100, {DType::i64, gpu});
  EXPECT_TRUE(std::isnan(cross_entropy(numbers({2, 5}, DType::f32).to(gpu), none).item<float>()));
}

// What is ruled out by -inf costs nothing, wherever it stands.
TEST_F(GpuTest, CrossEntropyWithInfiniteLogits) {
  for (const std::int64_t classes : {40, 6000}) {
    const Tensor x = numbers({2, classes}, DType::f32),
                 targets = full({2}, classes - 1, {.dtype = DType::i64});
    x.slice(1, 0, classes - 9).fill_(-INFINITY);
    expect_same_gradients([&](const Tensors& in) { return cross_entropy(in[0], targets.to(in[0].device())); },
                          {x}, gpu);
  }
}

// The host is not told of it: the loss is.
TEST_F(GpuTest, BadTargetsMakeNan) {
  for (const std::int64_t bad : {-1, 17}) {
    Tensor x = numbers({3, 17}, DType::bf16).to(gpu).set_requires_grad();
    const Tensor targets = tensor({std::int64_t{4}, bad, std::int64_t{9}}).to(gpu);
    const Tensor losses = cross_entropy(x, targets, {.reduction = Reduction::none});
    const auto values = losses.to(Device::cpu()).to_vector<float>();
    EXPECT_TRUE(std::isfinite(values[0]) && std::isnan(values[1]) && std::isfinite(values[2]));
    losses.backward(ones({3}, {.device = gpu}));
    const auto gradient = x.grad().to(Device::cpu()).to(DType::f32).to_vector<float>();
    for (std::size_t i = 0; i < gradient.size(); ++i) EXPECT_EQ(std::isnan(gradient[i]), i / 17 == 1);
    EXPECT_TRUE(std::isnan(cross_entropy(x, targets).item<float>()));
  }
}

TEST_F(GpuTest, GradientTakesThePlaceOfLogits) {
  Tensor x = numbers({3, 24}, DType::bf16).to(gpu).set_requires_grad();
  const void* gradient = nullptr;
  Tensor logits =
      autograd::record("probe", x.detach().clone(), {x}, [&gradient](const Tensor& g, autograd::Needs) {
        gradient = g.raw_data();
        return autograd::Gradients{g};
      });
  const void* const place = logits.raw_data();
  const Tensor loss = cross_entropy(logits, some_targets(3, 24).to(gpu));
  EXPECT_EQ(loss.dtype(), DType::f32);
  logits = Tensor();
  loss.backward();
  EXPECT_EQ(gradient, place);
}

#ifdef TUTTI_SIMULATED
TEST_F(GpuTest, CrossEntropyDoesNotWait) {
  Tensor x = numbers({3, 24}, DType::bf16).to(gpu).set_requires_grad();
  const Tensor targets = some_targets(3, 24).to(gpu);
  const auto before = simt::counters().synchronisations.load();
  const Tensor loss = cross_entropy(x, targets, {.label_smoothing = 0.1});
  loss.backward();
  EXPECT_EQ(simt::counters().synchronisations.load(), before);
}
#endif

TEST_F(GpuTest, BinaryCrossEntropy) {
  for (const DType dtype : floats) {
    for (const Shape& shape : {Shape{1}, {16}, {3, 5, 7}, {1024}}) {
      const Tensor x = numbers(shape, dtype), targets = numbers(shape, dtype, 1);
      for (const Reduction reduction : {Reduction::mean, Reduction::sum, Reduction::none}) {
        SCOPED_TRACE(std::string(name_of(dtype)) + " " + shape.str());
        const auto f = [&](const Tensors& in) {
          return binary_cross_entropy_with_logits(in[0], targets.to(in[0].device()), reduction);
        };
        expect_same_gradients(f, {x}, gpu);
        expect_same_gradients(
            [&](const Tensors& in) { return mse_loss(in[0], targets.to(in[0].device()), reduction); }, {x},
            gpu);
      }
    }
  }
  const Tensor far = tensor({-200.0f, 200.0f, std::nanf(""), 1e-6f}),
               right = tensor({0.0f, 0.0f, 0.0f, 1.0f});
  expect_close(binary_cross_entropy_with_logits(far.to(gpu), right.to(gpu), Reduction::none),
               binary_cross_entropy_with_logits(far, right, Reduction::none), 1e-6);
}

}  // namespace
}  // namespace tutti::test
