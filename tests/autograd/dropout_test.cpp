#include "tutti/autograd/dropout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/gradcheck.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

TEST(Dropout, IsTheMaskOfBernoulliScaled) {
  Generator generator(3), of_mask(3);
  for (int call = 0; call < 2; ++call) {
    const auto mask = bernoulli(0.75, {5, 101}, of_mask).to_vector<float>();
    const auto y = dropout(full({101, 5}, 3).transpose(0, 1), 0.25, generator).to_vector<float>();
    for (std::size_t i = 0; i < y.size(); ++i) ASSERT_EQ(y[i], mask[i] * 4) << i;
    EXPECT_EQ(generator.state().position, of_mask.state().position);
  }
}

TEST(Dropout, GradientsMatchFiniteDifferences) {
  test::expect_gradients(
      [](const std::vector<Tensor>& in) {
        Generator generator(3);
        return dropout(in[0], 0.4, generator);
      },
      {test::sample({3, 7})});
}

TEST(Dropout, RefusesWhatItCannotDo) {
  Generator generator(1);
  EXPECT_THROW(dropout(ones({2}), 1.5, generator), ConfigError);
  EXPECT_THROW(dropout(ones({2}, {.dtype = DType::i64}), 0.5, generator), DTypeError);
  EXPECT_THAT(dropout(ones({3}), 1, generator).to_vector<float>(), testing::Each(0));
}

}  // namespace
}  // namespace tutti
