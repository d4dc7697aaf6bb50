#include "tutti/autograd/collective.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/gradcheck.h"
#include "tests/support/ranks.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

using test::on_ranks;
using testing::HasSubstr;

Tensor of_rank(int rank) { return test::sample({2, 3}, 1 + 0.1 * rank, 0.3 * rank); }

TEST(DifferentiableAllReduce, SumsForwardAndBackward) {
  for (const int size : {1, 2, 3, 4}) {
    Tensor total = zeros({2, 3}, {.dtype = DType::f64}), weights = total.clone();
    for (int rank = 0; rank < size; ++rank) {
      total.add_(of_rank(rank));
      weights.add_(test::sample({2, 3}, rank + 1));
    }
    on_ranks(size, [&](Communicator& comm) {
      Tensor x = of_rank(comm.rank());
      x.set_requires_grad();
      const Tensor y = all_reduce(x, comm);
      EXPECT_LT(amax(abs(y - total)).item<double>(), 1e-14);
      EXPECT_FALSE(y.storage() == x.storage());
      // The ranks' losses differ; each x has to do with all of them.
      sum(square(y) * test::sample({2, 3}, comm.rank() + 1)).backward();
      EXPECT_LT(amax(abs(x.grad() - 2.0 * total * weights)).item<double>(), 1e-12);
    });
  }
}

TEST(DifferentiableAllReduce, HasTheGradientsOfFiniteDifferences) {
  Communicator alone;
  test::expect_gradients([&](const auto& in) { return square(all_reduce(in[0], alone)); }, {of_rank(0)});
}

TEST(DifferentiableAllReduce, TakesViewsScalarsAndIntegers) {
  on_ranks(2, [](Communicator& comm) {
    Tensor x = of_rank(0);
    x.set_requires_grad();
    const Tensor y = all_reduce(transpose(x, 0, 1), comm);
    EXPECT_EQ(y.to_vector<double>(), contiguous(transpose(2.0 * x, 0, 1)).to_vector<double>());
    y.backward(expand(full({1, 1}, 1.0 + comm.rank(), {.dtype = DType::f64}), {3, 2}));
    EXPECT_EQ(x.grad().to_vector<double>(), std::vector<double>(6, 3.0));
    EXPECT_EQ(all_reduce(full({}, 2.5), comm).item(), 5.0f);
    EXPECT_EQ(all_reduce(arange(3), comm).to_vector<std::int64_t>(), (std::vector<std::int64_t>{0, 2, 4}));
  });
}

TEST(DifferentiableAllReduce, RecordsNothingWhereNoGradientIsWanted) {
  on_ranks(2, [](Communicator& comm) { EXPECT_FALSE(all_reduce(of_rank(0), comm).requires_grad()); });
}

TEST(DifferentiableAllReduce, NamesWhatTheRanksDifferIn) {
  on_ranks(2, [](Communicator& comm) {
    try {
      all_reduce(zeros({2 + comm.rank()}), comm);
      ADD_FAILURE() << "it summed tensors of different sizes";
    } catch (const CommError& error) {
      EXPECT_EQ(error.collective(), "all_reduce");
      EXPECT_THAT(error.what(), HasSubstr("rank 1"));
    }
  });
}

}  // namespace
}  // namespace tutti
