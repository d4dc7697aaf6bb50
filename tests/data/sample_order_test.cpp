#include "tutti/data/sample_order.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <vector>

#include "tutti/core/error.h"

namespace tutti::data {
namespace {

std::vector<std::uint64_t> order(std::uint64_t seed, std::uint64_t epoch, std::uint64_t n) {
  std::vector<std::uint64_t> all;
  for (std::uint64_t i = 0; i < n; ++i) all.push_back(shuffled(seed, epoch, n, i));
  return all;
}

TEST(SampleOrder, IsAPermutation) {
  for (const std::uint64_t n :
       {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 100, 255, 256, 257, 1000, 4096, 9000, 65537}) {
    std::vector<bool> seen(n);
    for (const auto sample : order(1, 2, n)) {
      ASSERT_LT(sample, n);
      ASSERT_FALSE(seen[sample]) << "twice in " << n;
      seen[sample] = true;
    }
  }
}

TEST(SampleOrder, ReachesFarIndices) {
  const auto n = ~std::uint64_t{0};
  EXPECT_LT(shuffled(1, 1, n, n - 1), n);
  EXPECT_NE(shuffled(1, 1, n, n - 1), shuffled(1, 1, n, n - 2));
}

TEST(SampleOrder, DependsOnSeedAndEpochAlone) {
  EXPECT_EQ(order(1, 0, 100), order(1, 0, 100));
  EXPECT_NE(order(1, 0, 100), order(2, 0, 100));
  EXPECT_NE(order(1, 0, 100), order(1, 1, 100));
  EXPECT_NE(order(1, 2, 100), order(2, 1, 100));
}

// A file of digits that is sorted must not come out sorted; each sample stands at each place equally often.
TEST(SampleOrder, IsUniform) {
  for (const std::uint64_t n : {2, 3, 5, 10, 33}) {
    constexpr int epochs = 20'000;
    std::vector<std::vector<int>> counts(n, std::vector<int>(n));
    for (int epoch = 0; epoch < epochs; ++epoch) {
      for (std::uint64_t i = 0; i < n; ++i) ++counts[i][shuffled(7, static_cast<std::uint64_t>(epoch), n, i)];
    }
    const double expected = double(epochs) / double(n);
    for (const auto& place : counts) {
      for (const int count : place) EXPECT_NEAR(count, expected, 5 * std::sqrt(expected)) << n;
    }
  }
}

TEST(SampleOrder, ReachesEveryOrder) {
  std::map<std::vector<std::uint64_t>, int> counts;
  for (std::uint64_t epoch = 0; epoch < 24'000; ++epoch) ++counts[order(7, epoch, 4)];
  EXPECT_EQ(counts.size(), 24u);
  for (const auto& [permutation, count] : counts) EXPECT_NEAR(count, 1000, 200);
}

TEST(SampleOrder, RefusesPlacesOutside) {
  EXPECT_THROW(shuffled(1, 0, 10, 10), ShapeError);
  EXPECT_THROW(shuffled(1, 0, 0, 0), ShapeError);
  EXPECT_THROW(random_below(0, 1, 1, 1), ShapeError);
}

TEST(SampleOrder, RandomBelowIsUniform) {
  std::vector<int> counts(10);
  for (std::uint64_t step = 0; step < 1000; ++step) {
    for (std::uint64_t sample = 0; sample < 100; ++sample) ++counts[random_below(10, 3, step, sample)];
  }
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 500);
}

}  // namespace
}  // namespace tutti::data
