#include "kernels/reduce.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tutti/core/threads.h"

namespace tutti::kernels {
namespace {

struct Sizes {
  std::int64_t outer, n, inner;
};

template <typename T>
std::vector<T> reduced(Reduction op, DType dtype, const std::vector<T>& x, const Sizes& s) {
  std::vector<T> out(static_cast<std::size_t>(s.outer * s.inner), T(-1));
  Reduce::cpu(op, dtype, x.data(), out.data(), s.outer, s.n, s.inner);
  return out;
}

// Around the blocks of rows and columns that are added in one go, and the parts that threads have.
const Sizes all_sizes[] = {{1, 1, 2},    {3, 5, 7},      {2, 127, 3},    {2, 128, 129},  {1, 129, 1024},
                           {2, 257, 16}, {1, 300, 1025}, {3, 1000, 33},  {1, 4097, 16},  {1, 4225, 17},
                           {1, 9000, 2}, {2, 70001, 3},  {1, 2500, 768}, {1, 385, 5000}, {70, 2, 40}};

// Whole numbers, whose sums are exact in any order.
TEST(ReduceColumns, IsExact) {
  for (const auto& s : all_sizes) {
    std::vector<float> x(static_cast<std::size_t>(s.outer * s.n * s.inner));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>((i * 7 + i / 13) % 23) - 11;
    std::vector<float> sums, largest;
    for (std::int64_t o = 0; o < s.outer; ++o) {
      for (std::int64_t k = 0; k < s.inner; ++k) {
        float sum = 0, most = -100;
        for (std::int64_t row = 0; row < s.n; ++row) {
          const float value = x[static_cast<std::size_t>((o * s.n + row) * s.inner + k)];
          sum += value;
          most = std::max(most, value);
        }
        sums.push_back(sum);
        largest.push_back(most);
      }
    }
    EXPECT_EQ(reduced(Reduction::sum, DType::f32, x, s), sums) << s.outer << " " << s.n << " " << s.inner;
    EXPECT_EQ(reduced(Reduction::max, DType::f32, x, s), largest) << s.outer << " " << s.n << " " << s.inner;
  }
}

TEST(ReduceColumns, HasTheSameBitsOnAnyThreads) {
  const int before = num_threads();
  for (const auto& s : all_sizes) {
    std::vector<float> x(static_cast<std::size_t>(s.outer * s.n * s.inner));
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i));
    set_num_threads(1);
    const auto alone = reduced(Reduction::sum, DType::f32, x, s);
    for (int threads : {2, 3}) {
      set_num_threads(threads);
      EXPECT_EQ(reduced(Reduction::sum, DType::f32, x, s), alone) << s.outer << " " << s.n << " " << s.inner;
    }
  }
  set_num_threads(before);
}

}  // namespace
}  // namespace tutti::kernels
