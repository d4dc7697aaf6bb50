#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/gradcheck.h"
#include "tutti/autograd/matmul.h"
#include "tutti/autograd/shape.h"
#include "tutti/autograd/softmax.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

using test::expect_gradients;
using test::sample;
using testing::ElementsAre;
using Inputs = std::vector<Tensor>;

TEST(Softmax, SumsToOneAndDoesNotOverflow) {
  const auto y = softmax(tensor({1000.0f, 1000.0f, -1000.0f})).to_vector<float>();
  EXPECT_THAT(y, ElementsAre(0.5, 0.5, 0));
  EXPECT_FLOAT_EQ(log_softmax(tensor({1000.0f, 1000.0f})).to_vector<float>()[0], std::log(0.5f));
  const Tensor rows = sum(softmax(sample({5, 37}), 1), {1});
  for (const double total : rows.to_vector<double>()) EXPECT_NEAR(total, 1, 1e-14);
}

TEST(Softmax, AgreesWithTheDefinitionOnAnyDimension) {
  const Tensor x = sample({3, 18, 5}, 2);
  for (const int dim : {0, 1, 2, -2}) {
    const Tensor want = exp(x) / sum(exp(x), {dim}, true);
    EXPECT_LT(amax(abs(softmax(x, dim) - want)).item<double>(), 1e-15);
    EXPECT_LT(amax(abs(log_softmax(x, dim) - log(want))).item<double>(), 1e-14);
  }
  EXPECT_THROW(softmax(arange(3)), DTypeError);
}

TEST(Softmax, GradientsMatchFiniteDifferences) {
  expect_gradients([](const Inputs& in) { return softmax(in[0], 1); }, {sample({2, 5, 3})});
  expect_gradients([](const Inputs& in) { return log_softmax(in[0]); }, {sample({2, 19})});
}

// The vectorised path, at widths around the sixteen lanes.
TEST(Softmax, SinglePrecisionAgreesWithDoubleAtEveryWidth) {
  for (std::int64_t n = 1; n <= 70; ++n) {
    const Tensor x = sample({3, n}, 5);
    const Tensor x32 = x.to(DType::f32);
    EXPECT_LT(amax(abs(softmax(x32).to(DType::f64) - softmax(x))).item<double>(), 1e-6) << n;
    EXPECT_LT(amax(abs(log_softmax(x32).to(DType::f64) - log_softmax(x))).item<double>(), 5e-6) << n;
  }
}

TEST(Softmax, NarrowTypesEmptyTensorsAndNaN) {
  EXPECT_EQ(softmax(zeros({2, 4}, {.dtype = DType::bf16})).dtype(), DType::bf16);
  EXPECT_EQ(softmax(zeros({1, 4}, {.dtype = DType::f16})).select(1, 2).item(), 0.25f);
  EXPECT_EQ(softmax(zeros({0, 4})).shape(), (Shape{0, 4}));
  EXPECT_EQ(log_softmax(zeros({4, 0})).shape(), (Shape{4, 0}));
  for (const float y : softmax(tensor({1.0f, std::nanf(""), 2.0f})).to_vector<float>())
    EXPECT_TRUE(std::isnan(y));
}

}  // namespace
}  // namespace tutti
