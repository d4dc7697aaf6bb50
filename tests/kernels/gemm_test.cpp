#include "kernels/gemm.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <thread>
#include <tuple>
#include <vector>

#include "kernels/matmul.h"

namespace {
std::atomic<bool> slow = false;
}

// In the place of OpenBLAS's, where that is the BLAS: it takes its time.
extern "C" void openblas_set_num_threads(int count) {
  if (slow) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const auto real = reinterpret_cast<void (*)(int)>(::dlsym(RTLD_NEXT, "openblas_set_num_threads"));
  if (real) real(count);
}

namespace tutti::kernels {
namespace {

// A stored matrix with rows further apart than they are long; what lies between them is NaN and must not be
// read.
template <typename T>
struct Stored {
  std::int64_t rows, columns, ld;
  std::vector<T> values;

  Stored(std::int64_t r, std::int64_t c, std::int64_t gap, T seed)
      : rows(r), columns(c), ld(c + gap), values(static_cast<std::size_t>(r * ld), nan()) {
    for (std::int64_t i = 0; i < r; ++i) {
      for (std::int64_t j = 0; j < c; ++j) at(i, j) = static_cast<T>((i * 7 + j * 5 + 3) % 11 - 5) * seed;
    }
  }
  static T nan() { return std::numeric_limits<T>::quiet_NaN(); }
  T& at(std::int64_t i, std::int64_t j) { return values[static_cast<std::size_t>(i * ld + j)]; }
};

template <typename T>
class Gemm : public testing::Test {};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(Gemm, Types);

// Small integers: every product and sum is exact in both types, whatever the order.
TYPED_TEST(Gemm, IsExactOnIntegersForAllTransposesStridesAndBetas) {
  using T = TypeParam;
  for (const auto& [m, n, k] : {std::tuple{1, 1, 1}, {3, 5, 7}, {17, 1, 33}, {1, 19, 4}, {65, 31, 129}}) {
    for (int variant = 0; variant < 4; ++variant) {
      const bool ta = (variant & 1) != 0, tb = (variant & 2) != 0;
      for (const T beta : {T(0), T(1), T(-2)}) {
        Stored<T> a(ta ? k : m, ta ? m : k, 3, 1), b(tb ? n : k, tb ? k : n, 2, 2), c(m, n, 4, 1);
        std::vector<T> before = c.values;
        if (beta == 0) {  // then the result's memory is uninitialised, and must not be read either
          for (int i = 0; i < m; ++i)
            for (int j = 0; j < n; ++j) c.at(i, j) = c.nan();
        }
        gemm<T>({ta, tb, m, n, k, a.values.data(), a.ld, b.values.data(), b.ld, beta, c.values.data(), c.ld});
        for (int i = 0; i < m; ++i) {
          for (int j = 0; j < n; ++j) {
            T want = beta == 0 ? T(0) : beta * before[static_cast<std::size_t>(i * c.ld + j)];
            for (int p = 0; p < k; ++p)
              want += (ta ? a.at(p, i) : a.at(i, p)) * (tb ? b.at(j, p) : b.at(p, j));
            ASSERT_EQ(c.at(i, j), want) << m << n << k << ta << tb << " beta " << beta;
          }
          if (i + 1 < m) {
            for (std::int64_t gap = n; gap < c.ld; ++gap)
              ASSERT_NE(c.at(i, gap), c.at(i, gap)) << "written over";
          }
        }
      }
    }
  }
}

TYPED_TEST(Gemm, RepeatsItsBits) {
  using T = TypeParam;
  Stored<T> a(61, 200, 0, T(0.1)), b(200, 47, 0, T(0.3));
  std::vector<T> first(61 * 47), second(61 * 47);
  for (auto* c : {&first, &second}) {
    gemm<T>({false, false, 61, 47, 200, a.values.data(), 200, b.values.data(), 47, T(0), c->data(), 47});
  }
  EXPECT_EQ(first, second);
}

// Where it is the first of the process, as ctest runs it, the BLAS is told meanwhile that each thread is to do its own alone.
TEST(GemmOfThreads, TheFirstHasTheBitsOfTheNext) {
  const std::int64_t m = 512, n = 128, k = 784;
  const Stored<float> a(m, k, 0, 0.1f), b(k, n, 0, 0.3f);
  std::vector<std::vector<float>> results(4, std::vector<float>(std::size_t(m * n)));
  const auto multiply = [&](std::vector<float>& c) {
    gemm_tile<float>({false, false, m, n, k, a.values.data(), k, b.values.data(), n, 0, c.data(), n});
  };
  slow = true;
  std::atomic<int> there = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] {
      ++there;
      while (there < 2) {
      }
      multiply(results[std::size_t(i)]);
      multiply(results[std::size_t(i) + 2]);
    });
  }
  threads.clear();
  slow = false;
  for (const auto& result : results) EXPECT_TRUE(result == results.back());
}

MatmulArgs args(std::int64_t batch, std::int64_t m, std::int64_t n, std::int64_t k, const float* a,
                std::int64_t a_batch, const float* b, std::int64_t b_batch, float* out, double beta) {
  return {DType::f32, batch, m,   n, k,     a,   std::max<std::int64_t>(k, 1), a_batch, false, b, n,
          b_batch,    false, out, n, m * n, beta};
}

TEST(MatmulKernel, AStrideOfZeroRepeatsAnOperand) {
  const std::vector<float> a = {1, 2, 3, 4, 5, 6}, b = {10, 100};
  std::vector<float> out(3);
  Matmul::cpu(args(3, 1, 1, 2, a.data(), 2, b.data(), 0, out.data(), 0));
  EXPECT_EQ(out, (std::vector<float>{210, 430, 650}));
}

TEST(MatmulKernel, AnEmptySumLeavesBetaTimesTheResult) {
  const float none = 0;
  std::vector<float> out = {1, 2, 3, 4};
  Matmul::cpu(args(2, 1, 2, 0, &none, 0, &none, 0, out.data(), 0.5));
  EXPECT_EQ(out, (std::vector<float>{0.5, 1, 1.5, 2}));
  out.assign(4, std::numeric_limits<float>::quiet_NaN());
  Matmul::cpu(args(2, 1, 2, 0, &none, 0, &none, 0, out.data(), 0));
  EXPECT_EQ(out, (std::vector<float>(4, 0)));
}

}  // namespace
}  // namespace tutti::kernels
