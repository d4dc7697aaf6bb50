#include "tutti/tensor/tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using testing::ElementsAre;

TEST(Tensor, KnowsItsShapeAndStrides) {
  const Tensor x = zeros({2, 3, 4});
  EXPECT_EQ(x.shape(), (Shape{2, 3, 4}));
  EXPECT_EQ(x.strides(), (Shape{12, 4, 1}));
  EXPECT_EQ(x.size(-1), 4);
  EXPECT_EQ(x.numel(), 24);
  EXPECT_TRUE(x.is_contiguous());
  EXPECT_THROW(x.size(3), ShapeError);
}

TEST(Tensor, UndefinedIsRefusedByName) {
  const Tensor none;
  EXPECT_FALSE(none.defined());
  EXPECT_THROW(none.shape(), Error);
  EXPECT_EQ(none.str(), "tensor(undefined)");
}

TEST(Tensor, DataChecksTheType) {
  const Tensor x = zeros({2}, {.dtype = DType::i32});
  EXPECT_THROW(x.data<float>(), DTypeError);
  EXPECT_THROW(x.to_vector<std::int64_t>(), DTypeError);
  EXPECT_THAT(x.to_vector<std::int32_t>(), ElementsAre(0, 0));
}

TEST(Tensor, ItemNeedsOneElement) {
  EXPECT_EQ(full({1, 1}, 2.5).item(), 2.5f);
  EXPECT_EQ(full({}, 7, {.dtype = DType::i64}).item<std::int64_t>(), 7);
  EXPECT_THROW(zeros({2}).item(), ShapeError);
}

TEST(Tensor, BufferViewNeedsContiguousMemory) {
  const Tensor x = arange(6).reshape({2, 3});
  const BufferView view = x;
  EXPECT_EQ(view.count, 6u);
  EXPECT_EQ(view.dtype, DType::i64);
  EXPECT_EQ(view.data, x.raw_data());
  EXPECT_THROW(static_cast<BufferView>(x.transpose(0, 1)), ShapeError);
}

TEST(Tensor, InPlaceChangesAreSeenThroughViewsAndCounted) {
  Tensor x = zeros({2, 3});
  const auto before = x.storage()->version();
  x.slice(1, 1, 2).fill_(5);
  EXPECT_THAT(x.to_vector<float>(), ElementsAre(0, 5, 0, 0, 5, 0));
  EXPECT_GT(x.storage()->version(), before);
  x.mul_(2).add_(ones({3}), -1);
  EXPECT_THAT(x.to_vector<float>(), ElementsAre(-1, 9, -1, -1, 9, -1));
}

TEST(Tensor, CopyBroadcastsAndConverts) {
  Tensor x = empty({2, 2}, {.dtype = DType::i32});
  x.copy_(tensor({1.9, -2.9}));
  EXPECT_THAT(x.to_vector<std::int32_t>(), ElementsAre(1, -2, 1, -2));
  EXPECT_THROW(x.copy_(zeros({3})), ShapeError);
  EXPECT_THROW(zeros({2}).copy_(zeros({2, 2})), ShapeError);
}

// As large as threads share.
TEST(Tensor, IsChangedByWhatItsOwnElementsWereBefore) {
  const std::int64_t n = 100'000;
  Tensor x = arange(n, {.dtype = DType::f64});
  x.slice(0, 1, n).copy_(x.slice(0, 0, n - 1));
  EXPECT_EQ(x.select(0, 0).item<double>(), 0);
  for (const std::int64_t i : {std::int64_t{1}, n / 2, n - 1})
    EXPECT_EQ(x.select(0, i).item<double>(), static_cast<double>(i - 1));
  Tensor y = arange(n, {.dtype = DType::f64});
  y.slice(0, 1, n).add_(y.slice(0, 0, n - 1));
  EXPECT_EQ(y.select(0, n - 1).item<double>(), static_cast<double>(2 * n - 3));
  Tensor square = arange(90'000, {.dtype = DType::f64}).reshape({300, 300});
  const auto before = square.transpose(0, 1).contiguous().to_vector<double>();
  square.copy_(square.transpose(0, 1));
  EXPECT_EQ(square.to_vector<double>(), before);
}

TEST(Tensor, IsNotChangedWhereSeveralElementsAreOne) {
  Tensor x = ones({1}).expand({5});
  EXPECT_THROW(x.add_(ones({5})), ShapeError);
  EXPECT_THROW(x.copy_(ones({5})), ShapeError);
  EXPECT_THROW(x.fill_(2), ShapeError);
  EXPECT_THROW(x.mul_(2), ShapeError);
  EXPECT_EQ(x.to_vector<float>(), std::vector<float>(5, 1.0f));
}

TEST(Tensor, ConvertsBetweenAllDTypes) {
  for (const DType from : all_dtypes) {
    for (const DType to : all_dtypes) {
      const Tensor x = tensor({0.0, 1.0, 1.0}).to(from).to(to).to(DType::f64);
      EXPECT_THAT(x.to_vector<double>(), ElementsAre(0, 1, 1)) << name_of(from) << " to " << name_of(to);
    }
  }
}

TEST(Tensor, PrintsReadably) {
  const DefaultDevice on_cpu(Device::cpu());  // which is not said
  EXPECT_EQ(arange(6).reshape({2, 3}).str(), "tensor([[0, 1, 2],\n        [3, 4, 5]], i64, [2, 3])");
  EXPECT_EQ(tensor({1.5f, -2.0f}).str(), "tensor([1.5,  -2], f32, [2])");
  EXPECT_EQ(arange(1001).str(), "tensor([   0,    1,    2, ...,  998,  999, 1000], i64, [1001])");
  EXPECT_EQ(zeros({0, 3}).str(), "tensor([], f32, [0, 3])");
  EXPECT_EQ(full({}, 3).str(), "tensor(3, f32, [])");
}

TEST(Creation, RefusesImpossibleShapes) {
  EXPECT_THROW(zeros({-1}), ShapeError);
  EXPECT_THROW(zeros({1LL << 62, 1LL << 62}), ShapeError);
  EXPECT_THROW(zeros({0, 1LL << 62, 1LL << 62, 1}), ShapeError);  // its strides would overflow
  EXPECT_THROW(from(std::vector<float>{1, 2, 3}, {2, 2}), ShapeError);
  EXPECT_THROW(arange(0, 5, -1), ShapeError);
  EXPECT_THROW((Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}), ShapeError);
}

TEST(Creation, ArangeAndEye) {
  EXPECT_THAT(arange(5, 0, -2).to_vector<std::int64_t>(), ElementsAre(5, 3, 1));
  EXPECT_THAT(arange(0, 1, 0.25, {.dtype = DType::f32}).to_vector<float>(), ElementsAre(0, 0.25, 0.5, 0.75));
  EXPECT_THAT(eye(2).to_vector<float>(), ElementsAre(1, 0, 0, 1));
}

TEST(Creation, FromBufferSharesMemory) {
  std::vector<float> values{1, 2, 3, 4};
  Tensor x = from_buffer(values, {2, 2});
  x.mul_(10);
  EXPECT_EQ(values[3], 40);
}

TEST(Tensor, IsFilledWithZerosOfEitherSign) {
  EXPECT_TRUE(std::signbit(full({2}, -0.0).to_vector<float>()[1]));
  EXPECT_FALSE(std::signbit(full({2}, -0.0).fill_(0).to_vector<float>()[1]));
}

TEST(Tensor, MovesOntoOtherMemoryThroughAllHandles) {
  Tensor x = arange(6).to(DType::f32).reshape({2, 3}).transpose(0, 1);
  const Tensor handle = x, view = x.detach();
  const Tensor flat = arange(10).to(DType::f32);
  x.set_storage(flat.storage(), 4);
  EXPECT_THAT(handle.to_vector<float>(), ElementsAre(4, 5, 6, 7, 8, 9));
  EXPECT_TRUE(handle.is_contiguous());
  EXPECT_THAT(view.to_vector<float>(), ElementsAre(0, 3, 1, 4, 2, 5));
  handle.detach().fill_(1);
  EXPECT_EQ(flat.to_vector<float>()[9], 1);
}

TEST(Tensor, RefusesMemoryThatIsTooSmall) {
  Tensor x = zeros({6});
  const auto storage = zeros({10}).storage();
  for (const std::int64_t offset :
       {std::int64_t{5}, std::int64_t{-1}, std::int64_t{1} << 62, std::numeric_limits<std::int64_t>::max()}) {
    EXPECT_THROW(x.set_storage(storage, offset), ShapeError) << offset;
  }
  EXPECT_THROW(x.set_storage(nullptr), DeviceError);
  EXPECT_THROW(Tensor().set_storage(storage), Error);
  EXPECT_EQ(x.to_vector<float>(), std::vector<float>(6, 0));
}

TEST(Storage, TakesOtherMemoryWhereItIsExternal) {
  const auto first = std::make_shared<std::vector<float>>(4, 1.0f),
             second = std::make_shared<std::vector<float>>(4, 2.0f);
  const auto storage = Storage::external(first->data(), 16, Device::cpu(), first);
  const Tensor x(storage, DType::f32, {4}, {1}), part = x.slice(0, 1, 3);
  const auto version = storage->version();
  storage->set_memory(second->data(), second);
  EXPECT_EQ(first.use_count(), 1);
  EXPECT_THAT(part.to_vector<float>(), ElementsAre(2, 2));
  storage->set_memory(nullptr, nullptr);
  EXPECT_EQ(second.use_count(), 1);
  EXPECT_THROW(part.to_vector<float>(), Error);
  EXPECT_THROW(part.detach().zero_(), Error);
  EXPECT_EQ(x.shape(), Shape{4});
  EXPECT_EQ(storage->version(), version + 1);  // of the attempt to zero it
  EXPECT_THROW(zeros({4}).storage()->set_memory(first->data(), first), DeviceError);
}

TEST(HalfPrecision, RoundsToNearestEven) {
  EXPECT_EQ(float(bfloat16(1.00390625f)), 1.0f);  // a tie goes to the even neighbour
  EXPECT_EQ(float(bfloat16(1.01171875f)), 1.015625f);
  EXPECT_EQ(float(float16(2049.0f)), 2048.0f);
  EXPECT_EQ(float(float16(65520.0f)), INFINITY);
  EXPECT_EQ(float(float16(65519.0f)), 65504.0f);
  EXPECT_EQ(float(float16(5.9604644775390625e-8f)), 5.9604644775390625e-8f);  // the smallest subnormal
  EXPECT_TRUE(std::isnan(float(float16(NAN))));
  EXPECT_TRUE(std::isnan(float(bfloat16(std::bit_cast<float>(0x7f800001u)))));
}

TEST(HalfPrecision, EveryF16SurvivesTheWayThroughF32) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    float16 half;
    half.bits = static_cast<std::uint16_t>(bits);
    if (std::isnan(float(half))) continue;
    ASSERT_EQ(float16(float(half)).bits, bits);
  }
}

}  // namespace
}  // namespace tutti
