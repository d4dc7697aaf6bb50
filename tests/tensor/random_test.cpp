#include "tutti/tensor/random.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/philox.h"
#include "tutti/autograd/reduce.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

using kernels::Philox;
using testing::ElementsAre;

// The vectors that the authors publish (kat_vectors of Random123).
TEST(Philox, GivesTheKnownAnswers) {
  EXPECT_THAT(Philox(0, 0, 0).words, ElementsAre(0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u));
  EXPECT_THAT(Philox(~0ull, ~0ull, ~0ull).words,
              ElementsAre(0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu));
  EXPECT_THAT(Philox(0x299f31d0a4093822ull, 0x0370734413198a2eull, 0x85a308d3243f6a88ull).words,
              ElementsAre(0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u));
}

// Those that are made many at a time are the same, beyond 2^32 blocks too.
TEST(Philox, IsWhatATensorIsMadeOf) {
  const std::uint64_t seed = 0x299f31d0a4093822, stream = 0x0370734413198a2e;
  Generator g(seed, stream);
  for (const std::uint64_t position : {std::uint64_t{0}, (std::uint64_t{1} << 32) - 3}) {
    g.set_state({seed, stream, position});
    const auto words = randint(0, std::int64_t{1} << 32, {333}, g).to_vector<std::int64_t>();
    for (std::size_t i = 0; i < words.size(); ++i)
      ASSERT_EQ(words[i], Philox(seed, stream, position + i / 4).words[i % 4]) << i;
  }
}

TEST(Generator, RepeatsFromASavedState) {
  Generator g(7);
  rand({5}, g);
  const auto state = g.state();
  const auto first = randn({6}, g).to_vector<float>();
  g.set_state(state);
  EXPECT_EQ(randn({6}, g).to_vector<float>(), first);
  EXPECT_NE(randn({6}, g).to_vector<float>(), first);
  Generator other(7, 1);
  other.set_state({7, 1, state.position});
  EXPECT_NE(randn({6}, other).to_vector<float>(), first);
}

TEST(Generator, ANumberDependsOnItsPlaceAlone) {
  Generator a(3), b(3);
  const auto whole = rand({16}, a).to_vector<float>();
  rand({8}, b);
  const auto second = rand({8}, b).to_vector<float>();
  EXPECT_TRUE(std::equal(second.begin(), second.end(), whole.begin() + 8));
}

TEST(Random, HasTheMomentsOfItsDistribution) {
  Generator g(1);
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor u = rand({200000}, g, -1, 3, {.dtype = dtype});
    EXPECT_NEAR(mean(u).item(), 1, 0.02);
    EXPECT_NEAR(var(u, {0}).item(), 16.0 / 12, 0.02);
    EXPECT_GE(amin(u).item(), -1);
    EXPECT_LT(amax(u).item(), 3);
    const Tensor n = randn({200000}, g, 2, 0.5, {.dtype = dtype});
    EXPECT_NEAR(mean(n).item(), 2, 0.01);
    EXPECT_NEAR(var(n, {0}).item(), 0.25, 0.01);
  }
  EXPECT_NEAR(mean(bernoulli(0.3, {100000}, g)).item(), 0.3, 0.01);
}

TEST(Random, IntegersCoverTheirRange) {
  Generator g(2);
  const auto values = randint(-2, 3, {1000}, g).to_vector<std::int64_t>();
  for (std::int64_t v = -2; v < 3; ++v)
    EXPECT_NEAR(std::count(values.begin(), values.end(), v), 200, 60) << v;
  auto order = randperm(100, g).to_vector<std::int64_t>();
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  for (std::int64_t i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST(Random, RefusesEmptyRanges) {
  Generator g(1);
  EXPECT_THROW(randint(3, 3, {1}, g), ConfigError);
  EXPECT_THROW(rand({1}, g, 1, 0), ConfigError);
  EXPECT_THROW(bernoulli(1.5, {1}, g), ConfigError);
  EXPECT_THROW(randn({1}, g, 0, 1, {.dtype = DType::i64}), DTypeError);
}

}  // namespace
}  // namespace tutti
