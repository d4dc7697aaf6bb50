// The bits of a result depend on the values alone: not on where in memory the operands stand, nor on whether an element
// is reached by the vectorised part of a loop or by its rest.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/optim.h"
#include "tests/comm/tree_sum.h"

namespace tutti::kernels {
namespace {

using test::rough_value;

// Elements that begin `offset` elements behind the beginning of a cache line.
template <typename T>
class Placed {
 public:
  Placed(const std::vector<T>& values, std::size_t offset)
      : memory_(values.size() + 128), count_(values.size()) {
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.data());
    begin_ = memory_.data() + (64 - address % 64) % 64 / sizeof(T) + offset;
    std::copy(values.begin(), values.end(), begin_);
  }
  T* data() { return begin_; }
  std::vector<T> values() const { return {begin_, begin_ + count_}; }

 private:
  std::vector<T> memory_;
  std::size_t count_;
  T* begin_;
};

// Between -6 and 6, where every part of an approximation has its turn.
template <typename T>
std::vector<T> rough(int seed, std::size_t count) {
  std::vector<T> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = std::fmod(12 * rough_value<T>(seed, i), T(6));
  return values;
}

template <typename T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (std::memcmp(&a[i], &b[i], sizeof(T)) != 0 && !(a[i] != a[i] && b[i] != b[i])) return false;
  }
  return a.size() == b.size();
}

template <typename T>
class SameBits : public ::testing::Test {};
using Types = ::testing::Types<float, double>;
TYPED_TEST_SUITE(SameBits, Types);

TYPED_TEST(SameBits, OfAProductWhereverItsOperandsStand) {
  using T = TypeParam;
  for (const auto& [m, n, k] : {std::tuple{1, 1, 1},
                                {3, 5, 7},
                                {1, 33, 65},
                                {29, 1, 130},
                                {17, 31, 200},
                                {64, 64, 64},
                                {97, 145, 66},
                                {51, 196, 500}}) {
    const auto size = [](int rows, int columns) { return static_cast<std::size_t>(rows * columns); };
    const auto a = rough<T>(1, size(m, k)), b = rough<T>(2, size(k, n)), c = rough<T>(3, size(m, n));
    for (int variant = 0; variant < 8; ++variant) {
      const bool ta = (variant & 1) != 0, tb = (variant & 2) != 0;
      const T beta = (variant & 4) != 0 ? T(1) : T(0);
      const auto product = [&](std::size_t at_a, std::size_t at_b, std::size_t at_c) {
        Placed<T> left(a, at_a), right(b, at_b), out(c, at_c);
        gemm<T>({ta, tb, m, n, k, left.data(), ta ? m : k, right.data(), tb ? k : n, beta, out.data(), n});
        return out.values();
      };
      const auto aligned = product(0, 0, 0);
      for (const auto& [x, y, z] :
           {std::tuple{1u, 0u, 0u}, {0u, 1u, 0u}, {0u, 0u, 1u}, {3u, 5u, 7u}, {8u, 4u, 2u}}) {
        ASSERT_TRUE(same_bits(product(x, y, z), aligned))
            << m << " x " << n << " x " << k << " variant " << variant << " at " << x << ' ' << y << ' ' << z;
      }
    }
  }
}

// `run(operands, count)` on whole vectors, at another place, and on one element after the other.
template <typename T>
void expect_each_element_alone(const std::vector<std::vector<T>>& operands,
                               const std::function<void(std::vector<T*>, std::size_t)>& run,
                               const std::string& what) {
  const std::size_t count = operands[0].size();
  const auto result = [&](std::size_t offset, std::size_t step) {
    std::vector<Placed<T>> placed;
    for (const auto& operand : operands) placed.emplace_back(operand, offset);
    for (std::size_t i = 0; i < count; i += step) {
      std::vector<T*> at;
      for (auto& operand : placed) at.push_back(operand.data() + i);
      run(at, std::min(step, count - i));
    }
    std::vector<T> all;
    for (const auto& operand : placed) {
      const auto values = operand.values();
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  };
  const auto whole = result(0, count);
  for (const std::size_t offset : {1u, 7u}) EXPECT_TRUE(same_bits(result(offset, count), whole)) << what;
  for (const std::size_t step : {1u, 3u, 37u})
    EXPECT_TRUE(same_bits(result(0, step), whole)) << what << ", " << step << " at once";
}

constexpr std::size_t some = 1003;

TYPED_TEST(SameBits, OfAnElementWhereverItStands) {
  using T = TypeParam;
  const auto shape = [](std::size_t count) { return Shape{static_cast<std::int64_t>(count)}; };
  for (int op = 0; op < static_cast<int>(UnaryOp::logical_not); ++op) {
    expect_each_element_alone<T>(
        {rough<T>(1, some), rough<T>(2, some)},
        [&](const std::vector<T*>& at, std::size_t count) {
          Unary::cpu(UnaryOp(op), dtype_of<T>, shape(count), at[0], {at[1], {1}});
        },
        "unary " + std::to_string(op));
  }
  for (int op = 0; op <= static_cast<int>(BinaryOp::sigmoid_grad); ++op) {
    expect_each_element_alone<T>(
        {rough<T>(1, some), rough<T>(2, some), rough<T>(3, some)},
        [&](const std::vector<T*>& at, std::size_t count) {
          Binary::cpu(BinaryOp(op), dtype_of<T>, shape(count), at[0], {at[1], {1}}, {at[2], {1}});
        },
        "binary " + std::to_string(op));
  }
  expect_each_element_alone<T>(
      {rough<T>(1, some), rough<T>(2, some)},
      [&](const std::vector<T*>& at, std::size_t count) {
        AddScaled::cpu(dtype_of<T>, shape(count), {at[0], {1}}, {at[1], {1}}, 0.3, 0.7);
      },
      "add_scaled");
}

// So an optimizer may step through parts of the parameters.
TYPED_TEST(SameBits, OfAParameterWhereverItIsCut) {
  using T = TypeParam;
  for (const bool nesterov : {false, true}) {
    for (const bool with_buffer : {false, true}) {
      expect_each_element_alone<T>(
          {rough<T>(1, some), rough<T>(2, some), rough<T>(3, some)},
          [&](const std::vector<T*>& at, std::size_t count) {
            SgdStep::cpu({dtype_of<T>,
                          static_cast<std::int64_t>(count),
                          at[0],
                          at[1],
                          with_buffer ? at[2] : nullptr,
                          nesterov,
                          0.9,
                          0.3,
                          0.01,
                          {0.1, false}});
          },
          "sgd");
    }
  }
  auto squares = rough<T>(4, some);
  for (T& x : squares) x *= x;
  expect_each_element_alone<T>(
      {rough<T>(1, some), rough<T>(2, some), rough<T>(3, some), squares},
      [&](const std::vector<T*>& at, std::size_t count) {
        AdamStep::cpu({dtype_of<T>,
                       static_cast<std::int64_t>(count),
                       at[0],
                       at[1],
                       at[2],
                       at[3],
                       0.9,
                       0.999,
                       1e-8,
                       0.01,
                       {0.99, 0.001, 0.5}});
      },
      "adam");
}

}  // namespace
}  // namespace tutti::kernels
