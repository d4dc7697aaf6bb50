#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/gradcheck.h"
#include "tutti/autograd/index.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

using test::expect_gradients;
using test::sample;
using testing::ElementsAre;
using testing::ThrowsMessage;
using Inputs = std::vector<Tensor>;

const Tensor ids = tensor<std::int64_t>({2, 0, 2, 1}, {2, 2});

TEST(Embedding, PicksRows) {
  const Tensor weight = arange(6).reshape({3, 2});
  EXPECT_EQ(embedding(ids, weight).shape(), (Shape{2, 2, 2}));
  EXPECT_THAT(embedding(ids, weight).to_vector<std::int64_t>(), ElementsAre(4, 5, 0, 1, 4, 5, 2, 3));
  EXPECT_THAT(embedding(ids.to(DType::i32), weight).select(0, 0).to_vector<std::int64_t>(),
              ElementsAre(4, 5, 0, 1));
}

TEST(IndexSelect, PicksAlongAnyDimension) {
  const Tensor x = arange(6).reshape({2, 3});
  EXPECT_THAT(index_select(x, 1, tensor<std::int64_t>({2, 2, 0})).to_vector<std::int64_t>(),
              ElementsAre(2, 2, 0, 5, 5, 3));
  EXPECT_THAT(index_select(x.transpose(0, 1), 0, tensor<std::int64_t>({1})).to_vector<std::int64_t>(),
              ElementsAre(1, 4));
}

TEST(Gather, PicksElementByElement) {
  const Tensor x = arange(6).reshape({2, 3});
  EXPECT_THAT(gather(x, 1, tensor<std::int64_t>({2, 0, 1, 1}, {2, 2})).to_vector<std::int64_t>(),
              ElementsAre(2, 0, 4, 4));
  EXPECT_THAT(gather(x, 0, tensor<std::int64_t>({1, 0, 1}, {1, 3})).to_vector<std::int64_t>(),
              ElementsAre(3, 1, 5));
}

TEST(Indices, AreChecked) {
  const auto outside = [] { return embedding(tensor<std::int64_t>({0, 7}), zeros({3, 2})); };
  if (default_device().is_cuda()) {  // which nobody waits for
    EXPECT_THAT(outside().to_vector<float>(), ElementsAre(0, 0, testing::IsNan(), testing::IsNan()));
  } else {
    EXPECT_THAT(outside, ThrowsMessage<ShapeError>("embedding: index 7 at position 1 is outside [0, 3)"));
    EXPECT_THROW(embedding(tensor<std::int64_t>({-1}), zeros({3, 2})), ShapeError);
  }
  EXPECT_THROW(embedding(tensor({1.0f}), zeros({3, 2})), DTypeError);
  EXPECT_THROW(embedding(ids, zeros({3})), ShapeError);
  EXPECT_THROW(index_select(zeros({3}), 0, ids), ShapeError);
  EXPECT_THROW(gather(zeros({2, 3}), 1, zeros({3, 1}, {.dtype = DType::i64})), ShapeError);
}

TEST(Indices, GradientsMatchFiniteDifferences) {
  expect_gradients([](const Inputs& in) { return embedding(ids, in[0]); }, {sample({3, 4})});
  expect_gradients(
      [](const Inputs& in) {
        return index_select(in[0], 1, tensor<std::int64_t>({1, 1, 0}));
      },
      {sample({2, 3, 2})});
  expect_gradients(
      [](const Inputs& in) {
        return gather(in[0], 1, tensor<std::int64_t>({2, 2, 1, 0}, {2, 2}));
      },
      {sample({2, 3})});
}

TEST(Indices, HalfPrecisionGradientsAreSummedInF32) {
  const Tensor same = zeros({600}, {.dtype = DType::i64});
  for (const DType dtype : {DType::bf16, DType::f16}) {
    Tensor weight = zeros({2, 1}, {.dtype = dtype});
    weight.set_requires_grad();
    sum(embedding(same, weight).to(DType::f32)).backward();
    EXPECT_EQ(weight.grad().dtype(), dtype);
    EXPECT_THAT(weight.grad().to(DType::f32).to_vector<float>(), ElementsAre(600, 0));
    Tensor row = zeros({1, 2}, {.dtype = dtype});
    row.set_requires_grad();
    sum(gather(row, 1, same.reshape({1, 600})).to(DType::f32)).backward();
    EXPECT_THAT(row.grad().to(DType::f32).to_vector<float>(), ElementsAre(600, 0));
  }
}

TEST(Indices, NoneOfThemPickNothing) {
  const Tensor none = zeros({0}, {.dtype = DType::i64});
  Tensor weight = ones({3, 2});
  weight.set_requires_grad();
  const Tensor y = embedding(none, weight);
  EXPECT_EQ(y.shape(), (Shape{0, 2}));
  sum(y).backward();
  EXPECT_THAT(weight.grad().to_vector<float>(), ElementsAre(0, 0, 0, 0, 0, 0));
  EXPECT_EQ(index_select(weight, 1, none).shape(), (Shape{3, 0}));
  EXPECT_EQ(gather(weight, 0, none.reshape({0, 2})).shape(), (Shape{0, 2}));
}

}  // namespace
}  // namespace tutti
