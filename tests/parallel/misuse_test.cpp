// What ranks do wrong: an error that says what, on every rank, and nobody waits until the deadline.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <mutex>
#include <vector>

#include "tests/support/ranks.h"
#include "tutti/core/error.h"
#include "tutti/tutti.h"

namespace tutti {
namespace {

using testing::Each;
using testing::HasSubstr;

struct TwoLayers : nn::Module {
  nn::Linear first, second;

  TwoLayers() : TwoLayers(Generator(1)) {}
  explicit TwoLayers(Generator rng) : first(4, 3, rng), second(3, 1, rng) {}
  Tensor forward(const Tensor& x) override { return second(tanh(first(x))); }
  void visit(nn::MemberVisitor& v) override {
    v.module("first", first);
    v.module("second", second);
  }
  Tensor loss() { return mean(square((*this)(ones({2, 4})))); }
};

// What `body` threw on each of `size` ranks with `logical` logical ranks.
std::vector<std::string> errors_of(int size, int logical, const std::function<void(Communicator&)>& body) {
  std::vector<std::string> errors(static_cast<std::size_t>(size));
  const auto begin = std::chrono::steady_clock::now();
  test::on_ranks(size, [&](Communicator& comm) {
    comm.set_logical_ranks(logical);
    try {
      body(comm);
    } catch (const Error& error) {
      errors[static_cast<std::size_t>(comm.rank())] = error.what();
    }
  });
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20))
      << "ranks waited for the deadline";
  return errors;
}

TEST(Misuse, FewerLogicalRanksThanRanks) {
  EXPECT_THAT(errors_of(1, 1, [](Communicator&) { LogicalRanks(2, 0, 3); }),
              Each(HasSubstr("2 of them serve at most 2 ranks, not 3")));
}

TEST(Misuse, LogicalRanksThatDiffer) {
  EXPECT_THAT(errors_of(2, 4,
                        [](Communicator& comm) {
                          if (comm.rank() == 1) comm.set_logical_ranks(2);
                          TwoLayers net;
                          DataParallel parallel(net, comm);
                        }),
              Each(HasSubstr("the model or the options of rank 1 differ")));
}

TEST(Misuse, SeveralMicroBatchesWithoutTheLoop) {
  EXPECT_THAT(errors_of(2, 4,
                        [](Communicator& comm) {
                          TwoLayers net;
                          DataParallel parallel(net, comm);
                          parallel.backward(net.loss());
                        }),
              Each(HasSubstr("has 2 of the 4 logical ranks: loop over micro_batches()")));
}

TEST(Misuse, TwoBackwardsForOneMicroBatch) {
  const auto errors = errors_of(2, 4, [](Communicator& comm) {
    TwoLayers net;
    DataParallel parallel(net, comm);
    for (const int v : parallel.micro_batches()) {
      parallel.backward(net.loss());
      if (v == 2) parallel.backward(net.loss());
    }
  });
  EXPECT_THAT(errors, Each(HasSubstr("backward was called twice for one micro-batch")));
}

TEST(Misuse, AMicroBatchWithoutBackward) {
  const auto errors = errors_of(2, 4, [](Communicator& comm) {
    TwoLayers net;
    DataParallel parallel(net, comm);
    for (const int v : parallel.micro_batches()) {
      if (v != 3) parallel.backward(net.loss());
    }
  });
  EXPECT_THAT(errors, Each(HasSubstr("logical rank 3 has had no backward")));
}

TEST(Misuse, AStepThatWasLeft) {
  const auto errors = errors_of(1, 2, [](Communicator& comm) {
    TwoLayers net;
    DataParallel parallel(net, comm);
    for (int step = 0; step < 2; ++step) {
      for (const int v : parallel.micro_batches()) {
        parallel.backward(net.loss());
        if (v == 0) break;
      }
    }
  });
  EXPECT_THAT(errors, Each(HasSubstr("the step before was left in micro-batch 2 of 2")));
}

// Where each rank has one micro-batch, a backward too many meets the next step's of the others.
TEST(Misuse, AnExtraOrAMissingStepOfOneRank) {
  for (const bool extra : {true, false}) {
    const auto errors = errors_of(3, 3, [&](Communicator& comm) {
      TwoLayers net;
      DataParallel parallel(net, comm);
      optim::SGD optimizer(parallel.parameters());
      for (int step = 0; step < 3; ++step) {
        const bool odd = comm.rank() == 2 && step == 1;
        if (!odd || extra) parallel.backward(net.loss());
        if (odd && extra) parallel.backward(net.loss());
        optimizer.step();
      }
    });
    EXPECT_THAT(errors,
                Each(testing::AllOf(HasSubstr("since the last backward, rank 2 has updated its parameters"),
                                    HasSubstr("every rank calls backward once"))))
        << extra;
  }
}

TEST(Misuse, AnUpdateInTheMiddleOfAStep) {
  const auto errors = errors_of(1, 2, [](Communicator& comm) {
    TwoLayers net;
    DataParallel parallel(net, comm);
    optim::SGD optimizer(parallel.parameters());
    for ([[maybe_unused]] const int v : parallel.micro_batches()) {
      parallel.backward(net.loss());
      optimizer.step();
    }
  });
  EXPECT_THAT(errors, Each(HasSubstr("parameters were updated in the middle of a step")));
}

TEST(Misuse, ParametersFrozenOrTrainedLater) {
  for (const bool frozen : {true, false}) {
    EXPECT_THAT(errors_of(2, 2,
                          [&](Communicator& comm) {
                            TwoLayers net;
                            net.first.bias.set_requires_grad(frozen);
                            DataParallel parallel(net, comm);
                            net.first.bias.set_requires_grad(!frozen);
                            parallel.backward(net.loss());
                          }),
                Each(HasSubstr(frozen ? "first.bias no longer requires a gradient"
                                      : "first.bias requires a gradient now")));
  }
}

TEST(Misuse, AnErrorOfOneRankReachesTheOthers) {
  const auto errors = errors_of(3, 3, [](Communicator& comm) {
    TwoLayers net;
    DataParallel parallel(net, comm);
    Tensor loss = net.loss();
    if (comm.rank() == 1) net.second.weight.mul_(2);  // which the tape has saved
    parallel.backward(loss);
  });
  EXPECT_THAT(errors, Each(HasSubstr("was changed in place after it was used")));
}

TEST(Misuse, ParametersThatOneRankFreezes) {
  EXPECT_THAT(errors_of(2, 2,
                        [](Communicator& comm) {
                          TwoLayers net;
                          net.first.bias.set_requires_grad(comm.rank() == 0);
                          DataParallel parallel(net, comm);
                        }),
              Each(HasSubstr("the model or the options of rank 1 differ")));
}

TEST(Misuse, ALossThatIsNoNumberOrHasNoGraph) {
  for (const bool is_number : {true, false}) {
    const auto errors = errors_of(2, 2, [&](Communicator& comm) {
      TwoLayers net;
      DataParallel parallel(net, comm);
      const Tensor other = is_number ? ones({}) : net(ones({2, 4}));
      parallel.backward(comm.rank() == 1 ? other : net.loss());
    });
    EXPECT_THAT(errors, Each(HasSubstr(is_number ? "depends on nothing" : "a loss is one number")));
  }
}

TEST(Misuse, ABufferThatOneMicroBatchLeavesAlone) {
  const auto errors = errors_of(2, 4, [](Communicator& comm) {
    nn::Sequential net(nn::Conv2d(1, 3, 2, Generator(1)), nn::BatchNorm2d(3));
    DataParallel parallel(net, comm, {.allow_unused = true});
    for (const int v : parallel.micro_batches()) {
      parallel.backward(mean(v == 3 ? net[0](ones({2, 1, 4, 4})) : net(ones({2, 1, 4, 4}))));
    }
  });
  EXPECT_THAT(errors, Each(HasSubstr("changes in some micro-batches of a step, and not in others")));
}

TEST(Misuse, AShardedStepThatIsNotDataParallels) {
  for (const Shard shard : {Shard::optimizer, Shard::gradients, Shard::parameters}) {
    const auto errors = errors_of(2, 2, [&](Communicator& comm) {
      TwoLayers net;
      DataParallel parallel(net, comm, {.shard = shard});
      optim::SGD optimizer(parallel.parameters());
      parallel.backward(net.loss());
      optimizer.step();
      parallel.backward(net.loss());
    });
    EXPECT_THAT(errors, Each(HasSubstr("an optimizer has updated slices by itself")));
  }
}

TEST(Misuse, AnOptimizerOfTheWholeParametersWhereTheyAreSharded) {
  for (const Shard shard : {Shard::optimizer, Shard::gradients}) {
    const auto errors = errors_of(2, 2, [&](Communicator& comm) {
      TwoLayers net;
      DataParallel parallel(net, comm, {.shard = shard});
      optim::SGD optimizer(net.parameters());
      parallel.backward(net.loss());
      parallel.step(optimizer);
    });
    EXPECT_THAT(errors, Each(HasSubstr("the optimizer updates no slice")));
  }
}

// Sharded, the slices keep their gradients for the next step.
TEST(Misuse, GradientsThatAreDropped) {
  for (const Shard shard : {Shard::none, Shard::optimizer, Shard::gradients, Shard::parameters}) {
    const auto errors = errors_of(2, 2, [&](Communicator& comm) {
      TwoLayers net;
      DataParallel parallel(net, comm, {.shard = shard});
      optim::SGD optimizer(parallel.parameters());
      double before = 1e9;
      for (int step = 0; step < 3; ++step) {
        parallel.backward(net.loss());
        EXPECT_LT(parallel.loss(), before);
        before = parallel.loss();
        parallel.step(optimizer);
        optimizer.zero_grad(true);
      }
    });
    EXPECT_THAT(errors, Each(testing::IsEmpty()));
  }
}

TEST(Misuse, AnUpdateBetweenForwardAndBackward) {
  for (const Shard shard : {Shard::none, Shard::optimizer, Shard::gradients, Shard::parameters}) {
    const auto errors = errors_of(2, 2, [&](Communicator& comm) {
      TwoLayers net;
      DataParallel parallel(net, comm, {.first_bucket_bytes = 1, .bucket_bytes = 1, .shard = shard});
      optim::SGD optimizer(parallel.parameters());
      parallel.backward(net.loss());
      const Tensor early = net.loss();
      parallel.step(optimizer);
      parallel.backward(early);
    });
    EXPECT_THAT(errors, Each(HasSubstr("was changed in place after it was used"))) << static_cast<int>(shard);
  }
}

TEST(Misuse, AShardedParameterOutsideOfItsModule) {
  const auto errors = errors_of(2, 2, [&](Communicator& comm) {
    TwoLayers net;
    DataParallel parallel(net, comm, {.shard = Shard::parameters});
    parallel.backward(net.loss() + sum(square(net.first.weight)));
  });
  EXPECT_THAT(errors, Each(HasSubstr("a sharded parameter is whole only while its module computes")));
}

TEST(Misuse, AnOptimizerOfSomethingElse) {
  EXPECT_THAT(errors_of(2, 2,
                        [](Communicator& comm) {
                          TwoLayers net, other;
                          DataParallel parallel(net, comm, {.shard = Shard::optimizer});
                          parallel.shard(other.parameters());
                        }),
              Each(HasSubstr("first.weight is no parameter of the model")));
}

}  // namespace
}  // namespace tutti
