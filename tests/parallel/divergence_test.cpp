// Ranks that have drifted apart are found, and what it was.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/ranks.h"
#include "tutti/core/error.h"
#include "tutti/tutti.h"

namespace tutti {
namespace {

using testing::HasSubstr;

nn::Sequential make_model() {
  Generator rng(1);
  return nn::Sequential(nn::Linear(4, 3, rng), nn::BatchNorm2d(3), nn::Linear(3, 1, rng),
                        nn::Dropout(0.1, rng));
}

// Five steps on three ranks, with a check behind every second one. Each rank does `harm` behind step 3; another check
// follows at once if it is `asked` for.
void train(const std::function<void(nn::Module&, int rank)>& harm, bool asked = true,
           Shard shard = Shard::none) {
  test::on_ranks(3, [&](Communicator& comm) {
    comm.set_logical_ranks(3);
    nn::Sequential model = make_model();
    DataParallel parallel(model, comm, {.allow_unused = true, .shard = shard, .check_every = 2});
    optim::SGD optimizer(parallel.parameters());
    for (int step = 1; step <= 5; ++step) {
      parallel.backward(mean(model[0](ones({2, 4}))));
      parallel.step(optimizer);
      if (step != 3) continue;
      harm(model, comm.rank());
      if (asked) parallel.check_divergence();
    }
  });
}

TEST(Divergence, NamesTheFirstTensorAndTheRanks) {
  const auto harm = [](nn::Module& model, int rank) {
    if (rank == 2) model.state_dict()[1].tensor.add_(ones({1}), 1e-3);
  };
  EXPECT_THAT(
      [&] { train(harm, false); },
      testing::ThrowsMessage<DataError>(HasSubstr("after step 4, 0.bias differs from rank 0's on rank 2")));
}

TEST(Divergence, SeesBuffers) {
  const auto harm = [](nn::Module& model, int rank) {
    if (rank > 0) model.state_dict()[4].tensor.fill_(rank);
  };
  EXPECT_THAT([&] { train(harm); }, testing::ThrowsMessage<DataError>(
                                        HasSubstr("1.running_mean differs from rank 0's on ranks 1, 2")));
}

TEST(Divergence, SeesRandomNumbersThatWereDrawnOnSomeRanks) {
  const auto harm = [](nn::Module& model, int rank) {
    auto generator = model.generators()[0].generator;
    if (rank == 1) generator.set_state({.seed = 5, .stream = 0, .position = 0});
  };
  EXPECT_THAT([&] { train(harm); },
              testing::ThrowsMessage<DataError>(HasSubstr("the random numbers of 3.generator differs")));
}

TEST(Divergence, FindsNothingWhereThereIsNone) {
  for (const Shard shard : {Shard::none, Shard::optimizer, Shard::gradients}) {
    EXPECT_NO_THROW(train([](nn::Module&, int) {}, true, shard));
  }
}

}  // namespace
}  // namespace tutti
