#include "tutti/autograd/autocast.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tutti/core/error.h"
#include "tutti/tutti.h"

namespace tutti {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr DType narrow[] = {DType::bf16, DType::f16};

Tensor normal(const Shape& shape, std::uint64_t seed, DType dtype = DType::f32) {
  Generator rng(seed);
  return randn(shape, rng, 0, 1, {.dtype = dtype});
}

std::vector<float> values(const Tensor& x) { return x.to(DType::f32).to_vector<float>(); }

// Operations by which precision is lost, each of three operands.
struct Product {
  const char* name;
  std::vector<Shape> shapes;
  std::function<Tensor(const std::vector<Tensor>&)> run;
};

const std::vector<Product> products{
    {"matmul", {{3, 4}, {4, 2}}, [](const auto& in) { return matmul(in[0], in[1]); }},
    {"matmul of a vector", {{4}, {4, 2}}, [](const auto& in) { return matmul(in[0], in[1]); }},
    {"linear", {{2, 3, 4}, {5, 4}, {5}}, [](const auto& in) { return linear(in[0], in[1], in[2]); }},
    {"linear without bias", {{3, 4}, {5, 4}}, [](const auto& in) { return linear(in[0], in[1]); }},
    {"conv2d", {{2, 2, 5, 5}, {3, 2, 3, 3}, {3}}, [](const auto& in) { return conv2d(in[0], in[1], in[2]); }},
    {"attention", {{2, 4, 8}, {2, 4, 8}, {2, 4, 8}}, [](const auto& in) {
       return scaled_dot_product_attention(in[0], in[1], in[2], {.causal = true});
     }}};

std::vector<Tensor> operands(const Product& product, DType dtype = DType::f32) {
  std::vector<Tensor> result;
  for (const Shape& shape : product.shapes) {
    result.push_back(normal(shape, 1 + result.size(), dtype).set_requires_grad());
  }
  return result;
}

TEST(Autocast, MakesProductsOfConvertedOperandsWithGradientsInF32) {
  for (const Product& product : products) {
    for (const DType dtype : narrow) {
      SCOPED_TRACE(std::string(product.name) + " in " + std::string(name_of(dtype)));
      const auto in = operands(product), expected_in = operands(product);
      Tensor out;
      {
        Autocast autocast(dtype);
        out = product.run(in);
      }
      std::vector<Tensor> converted;
      for (const Tensor& x : expected_in) converted.push_back(x.to(dtype));
      const Tensor expected = product.run(converted);
      ASSERT_EQ(out.dtype(), dtype);
      EXPECT_EQ(values(out), values(expected));
      const Tensor gradient = normal(out.shape(), 9, dtype);
      out.backward(gradient);
      expected.backward(gradient);
      for (std::size_t i = 0; i < in.size(); ++i) {
        EXPECT_EQ(in[i].grad().dtype(), DType::f32);
        EXPECT_EQ(in[i].grad().to_vector<float>(), expected_in[i].grad().to_vector<float>());
      }
    }
  }
}

TEST(Autocast, TakesOperandsOfSixteenBitsToo) {
  Autocast autocast(DType::bf16);
  for (const Product& product : products) {
    auto in = operands(product);
    in[0] = in[0].to(DType::bf16);
    in[1] = in[1].to(DType::f16);
    EXPECT_EQ(product.run(in).dtype(), DType::bf16) << product.name;
  }
}

TEST(Autocast, LeavesF64Alone) {
  Autocast autocast(DType::bf16);
  for (const Product& product : products) {
    const auto in = operands(product, DType::f64);
    const Tensor out = product.run(in);
    EXPECT_EQ(out.dtype(), DType::f64) << product.name;
    EXPECT_THAT(
        [&] {
          matmul(ones({2, 2}), ones({2, 2}, {.dtype = DType::f64}));
        },
        ThrowsMessage<DTypeError>(AllOf(HasSubstr("f32"), HasSubstr("f64"))));
  }
  EXPECT_THROW(ones({1}) + ones({1}, {.dtype = DType::f64}), DTypeError);
  EXPECT_THROW(matmul(arange(3), arange(3)), DTypeError);
}

TEST(Autocast, GoesOnInF32WhereThePrecisionsMeet) {
  const Tensor wide = normal({2, 3}, 1).set_requires_grad();
  const Tensor half = normal({2, 3}, 2, DType::bf16).set_requires_grad();
  const std::vector<std::function<Tensor(const Tensor&, const Tensor&)>> operations{
      [](const Tensor& a, const Tensor& b) { return a + b; },
      [](const Tensor& a, const Tensor& b) { return a - b; },
      [](const Tensor& a, const Tensor& b) { return a * b; },
      [](const Tensor& a, const Tensor& b) { return a / b; },
      [](const Tensor& a, const Tensor& b) { return pow(a, b); },
      [](const Tensor& a, const Tensor& b) { return maximum(a, b); },
      [](const Tensor& a, const Tensor& b) { return minimum(a, b); },
      [](const Tensor& a, const Tensor& b) { return where(gt(a, b), a, b); },
      [](const Tensor& a, const Tensor& b) { return mse_loss(a, b); },
      [](const Tensor& a, const Tensor& b) { return binary_cross_entropy_with_logits(a, b); }};
  for (std::size_t i = 0; i < operations.size(); ++i) {
    SCOPED_TRACE(i);
    EXPECT_THROW(operations[i](wide, half), DTypeError) << "nothing is promoted silently elsewhere";
    Autocast autocast(DType::bf16);
    for (const auto& [a, b] : {std::pair(wide, half), std::pair(half, wide)}) {
      const Tensor out = operations[i](a, b);
      EXPECT_EQ(out.dtype(), DType::f32);
      sum(out).backward();
    }
    EXPECT_EQ(wide.grad().dtype(), DType::f32);
    EXPECT_EQ(half.grad().dtype(), DType::bf16);
  }
}

TEST(Autocast, AllElseKeepsItsPrecision) {
  Autocast autocast(DType::bf16);
  const Tensor wide = normal({2, 4}, 1), weight = normal({4}, 2), bias = normal({4}, 3);
  const Tensor mean_of = zeros({4}), var_of = ones({4});
  for (const Tensor& x : {wide, wide.to(DType::bf16)}) {
    for (const Tensor& y :
         {softmax(x), log_softmax(x), gelu(x), sum(x), mean(x), x * 2, x + x, layer_norm(x, weight, bias),
          rms_norm(x, weight), batch_norm(x, mean_of, var_of, weight, bias)}) {
      EXPECT_EQ(y.dtype(), x.dtype());
    }
  }
}

TEST(Autocast, ReachesNeitherOtherThreadsNorTheBackwardPass) {
  const Product& product = products[4];
  const auto gradient_of = [&](bool within) {
    const auto in = operands(product);
    const Tensor loss = sum(tanh(product.run(in)));
    std::optional<Autocast> autocast;
    if (within) autocast.emplace(DType::f16);
    loss.backward();
    return in[1].grad().to_vector<float>();
  };
  EXPECT_EQ(gradient_of(true), gradient_of(false));
  Autocast autocast(DType::bf16);
  std::thread([] { EXPECT_EQ(autocast_dtype(), std::nullopt); }).join();
  Tensor x = ones({1}).set_requires_grad();
  x.register_grad_hook([](Tensor&) { EXPECT_EQ(autocast_dtype(), std::nullopt); });
  (x * 1).backward();
  EXPECT_EQ(autocast_dtype(), DType::bf16);
}

TEST(Autocast, NestsAndEndsWithItsScope) {
  EXPECT_EQ(autocast_dtype(), std::nullopt);
  try {
    Autocast outer(DType::bf16);
    {
      Autocast inner(DType::f16);
      EXPECT_EQ(autocast_dtype(), DType::f16);
      Autocast off(std::nullopt);
      EXPECT_EQ(matmul(ones({1, 1}), ones({1, 1})).dtype(), DType::f32);
    }
    EXPECT_EQ(autocast_dtype(), DType::bf16);
    matmul(ones({1, 2}), ones({1, 2}));
    FAIL() << "the shapes don't fit";
  } catch (const ShapeError&) {
    EXPECT_EQ(autocast_dtype(), std::nullopt);
  }
}

TEST(Autocast, IsOfSixteenBits) {
  for (const DType dtype : {DType::f32, DType::f64, DType::i32}) {
    EXPECT_THAT([&] { Autocast autocast(dtype); },
                ThrowsMessage<DTypeError>(HasSubstr(std::string(name_of(dtype)))));
  }
  EXPECT_EQ(autocast_dtype(), std::nullopt);
}

TEST(Autocast, IsAsItWasWhereAFunctionIsRunAgain) {
  const auto gradients = [](bool again) {
    const Tensor x = normal({4, 4}, 1).set_requires_grad(), w = normal({4, 4}, 2).set_requires_grad();
    const auto f = [](const std::vector<Tensor>& in) {
      return in[0] + matmul(tanh(matmul(in[0], in[1])), in[1]);
    };
    Tensor loss;
    {
      Autocast autocast(DType::bf16);
      loss = sum(again ? recompute(f, {x, w}) : f({x, w}));
    }
    Autocast other(DType::f16);
    loss.backward();
    EXPECT_EQ(autocast_dtype(), DType::f16);
    return std::pair(x.grad().to_vector<float>(), w.grad().to_vector<float>());
  };
  EXPECT_EQ(gradients(true), gradients(false));
}

}  // namespace
}  // namespace tutti
