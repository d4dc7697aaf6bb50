#include "kernels/combine.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "tests/comm/tree_sum.h"

namespace tutti {
namespace {

template <typename T>
std::vector<T> combined(ReduceOp op, const std::vector<std::vector<T>>& inputs) {
  std::vector<const void*> in;
  for (const auto& input : inputs) in.push_back(input.data());
  std::vector<T> out(inputs[0].size());
  kernels::Combine::cpu(op, dtype_of<T>, out.size(), in, out.data());
  return out;
}

template <typename T>
class CombineOf : public ::testing::Test {};
using Floats = ::testing::Types<float, double, bfloat16, float16>;
TYPED_TEST_SUITE(CombineOf, Floats);

TYPED_TEST(CombineOf, SumsInOneTreeForAnyNumberOfInputs) {
  using T = TypeParam;
  for (int n = 1; n <= 33; ++n) {
    std::vector<std::vector<T>> inputs(static_cast<std::size_t>(n));
    for (int rank = 0; rank < n; ++rank) {
      for (std::size_t i = 0; i < 1100; ++i) {
        inputs[static_cast<std::size_t>(rank)].push_back(test::rough_value<T>(rank, i));
      }
    }
    for (const ReduceOp op : {ReduceOp::sum, ReduceOp::avg}) {
      const auto out = combined(op, inputs);
      for (std::size_t i = 0; i < out.size(); ++i) {
        const T expected = test::tree_sum<T>(op, n, i);
        ASSERT_EQ(std::memcmp(&out[i], &expected, sizeof(T)), 0)
            << n << " inputs, " << name_of(op) << ", at " << i;
      }
    }
  }
}

TYPED_TEST(CombineOf, InPlaceAndAtAnyPlaceGivesTheSameBits) {
  using T = TypeParam;
  for (int n : {2, 3, 5, 9}) {
    std::vector<std::vector<T>> inputs(static_cast<std::size_t>(n));
    for (int rank = 0; rank < n; ++rank) {
      for (std::size_t i = 0; i < 700; ++i) {
        inputs[static_cast<std::size_t>(rank)].push_back(test::rough_value<T>(rank, i));
      }
    }
    const auto whole = combined(ReduceOp::sum, inputs);
    for (std::size_t first : {0, 1, 13}) {
      for (int target = 0; target < n; ++target) {
        auto copies = inputs;
        std::vector<const void*> in;
        for (const auto& copy : copies) in.push_back(copy.data() + first);
        T* out = copies[static_cast<std::size_t>(target)].data() + first;
        kernels::Combine::cpu(ReduceOp::sum, dtype_of<T>, 700 - first, in, out);
        ASSERT_EQ(std::memcmp(out, whole.data() + first, (700 - first) * sizeof(T)), 0) << n << " " << target;
      }
    }
  }
}

TEST(Combine, IntegersWrap) {
  constexpr auto most = std::numeric_limits<std::int32_t>::max();
  EXPECT_EQ(combined<std::int32_t>(ReduceOp::sum, {{most}, {1}}), std::vector<std::int32_t>{-most - 1});
  EXPECT_EQ(combined<std::int32_t>(ReduceOp::prod, {{most}, {2}}), std::vector<std::int32_t>{-2});
  EXPECT_EQ(combined<std::uint8_t>(ReduceOp::sum, {{200}, {100}}), std::vector<std::uint8_t>{44});
}

TEST(Combine, BoolsAreOrAndAnd) {
  const std::array<std::uint8_t, 4> a{0, 0, 1, 1}, b{0, 1, 0, 1};
  const void* in[] = {a.data(), b.data()};
  const auto result = [&](ReduceOp op) {
    std::array<std::uint8_t, 4> out{};
    kernels::Combine::cpu(op, DType::bool_, 4, in, out.data());
    return out;
  };
  const std::array<std::uint8_t, 4> either{0, 1, 1, 1}, both{0, 0, 0, 1};
  EXPECT_EQ(result(ReduceOp::sum), either);
  EXPECT_EQ(result(ReduceOp::max), either);
  EXPECT_EQ(result(ReduceOp::prod), both);
  EXPECT_EQ(result(ReduceOp::min), both);
}

TEST(Combine, ANaNOfAnyInputIsKept) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const ReduceOp op : {ReduceOp::sum, ReduceOp::min, ReduceOp::max, ReduceOp::prod}) {
    const auto out = combined<float>(op, {{nan, 1, 1, 1}, {1, nan, 1, 1}, {1, 1, nan, 1}});
    EXPECT_TRUE(std::isnan(out[0]) && std::isnan(out[1]) && std::isnan(out[2])) << name_of(op);
    EXPECT_FALSE(std::isnan(out[3])) << name_of(op);
  }
}

}  // namespace
}  // namespace tutti
