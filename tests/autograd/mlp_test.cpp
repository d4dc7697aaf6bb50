#include "tutti/autograd/mlp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/gradcheck.h"
#include "tutti/autograd/autocast.h"
#include "tutti/autograd/float32_matmul.h"
#include "tutti/autograd/matmul.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

using test::expect_gradients;
using test::sample;
using testing::HasSubstr;
using testing::ThrowsMessage;
using Inputs = std::vector<Tensor>;

TEST(LinearGelu, IsAGeluOfALinearLayer) {
  for (const Gelu kind : {Gelu::exact, Gelu::tanh}) {
    for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
      const Tensor x = sample({2, 5, 3}).to(dtype), w = sample({4, 3}, 0.8).to(dtype),
                   b = sample({4}, 0.7).to(dtype);
      EXPECT_EQ(linear_gelu(x, w, b, kind).to(DType::f64).to_vector<double>(),
                gelu(linear(x, w, b), kind).to(DType::f64).to_vector<double>());
    }
  }
  EXPECT_EQ(linear_gelu(sample({3}), sample({4, 3})).shape(), (Shape{4}));
  EXPECT_EQ(linear_gelu(zeros({0, 3}), zeros({4, 3})).shape(), (Shape{0, 4}));
}

TEST(LinearGelu, GradientsMatchFiniteDifferences) {
  for (const Gelu kind : {Gelu::exact, Gelu::tanh}) {
    expect_gradients([kind](const Inputs& in) { return linear_gelu(in[0], in[1], in[2], kind); },
                     {sample({2, 2, 3}), sample({4, 3}), sample({4})});
    expect_gradients([kind](const Inputs& in) { return linear_gelu(in[0], in[1], {}, kind); },
                     {sample({3}), sample({4, 3})});
  }
}

TEST(LinearGelu, NamesWhatDoesNotFit) {
  EXPECT_THAT(
      [] {
        linear_gelu(zeros({2, 3}), zeros({5, 4}));
      },
      ThrowsMessage<ShapeError>("linear_gelu: x [..., in] needs a weight [out, in], got [2, 3] and [5, 4]"));
  EXPECT_THAT(
      [] {
        linear_gelu(zeros({2, 3}), zeros({5, 3}), zeros({5}, {.dtype = DType::f64}));
      },
      ThrowsMessage<DTypeError>(HasSubstr("linear_gelu: ")));
}

TEST(Mlp, GradientsMatchFiniteDifferences) {
  for (const Gelu kind : {Gelu::exact, Gelu::tanh}) {
    expect_gradients([kind](const Inputs& in) { return mlp(in[0], in[1], in[2], in[3], in[4], kind); },
                     {sample({2, 2, 3}), sample({4, 3}), sample({4}), sample({2, 4}), sample({2})});
    expect_gradients([kind](const Inputs& in) { return mlp(in[0], in[1], {}, in[2], {}, kind); },
                     {sample({2, 3}), sample({4, 3}), sample({2, 4})});
  }
}

TEST(Mlp, TakesPartInMixedPrecision) {
  const Tensor x = sample({2, 3}).to(DType::f32), up = sample({4, 3}).to(DType::f32),
               down = sample({2, 4}).to(DType::f32);
  const Autocast autocast(DType::bf16);
  EXPECT_EQ(linear_gelu(x, up).dtype(), DType::bf16);
  EXPECT_EQ(mlp(x, up, {}, down, {}).dtype(), DType::bf16);
}

TEST(Float32Matmul, HoldsUntilItEnds) {
  EXPECT_EQ(float32_matmul_precision(), Float32Precision::full);
  {
    const Float32Matmul outer(Float32Precision::tf32);
    const Float32Matmul inner(Float32Precision::full);
    EXPECT_EQ(float32_matmul_precision(), Float32Precision::full);
  }
  EXPECT_EQ(float32_matmul_precision(), Float32Precision::full);
  const Float32Matmul again(Float32Precision::tf32);
  EXPECT_EQ(float32_matmul_precision(), Float32Precision::tf32);
}

}  // namespace
}  // namespace tutti
