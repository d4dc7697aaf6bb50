// What makes a run another one, and when there is a state to save.
#include "tutti/checkpoint/train_state.h"

#include <gmock/gmock.h>

#include <functional>

#include "tests/checkpoint/parts.h"
#include "tests/support/files.h"
#include "tests/support/message_of.h"
#include "tests/support/ranks.h"
#include "tutti/checkpoint/checkpointer.h"
#include "tutti/core/error.h"
#include "tutti/data/image_loader.h"
#include "tutti/nn/dropout.h"
#include "tutti/nn/linear.h"
#include "tutti/nn/sequential.h"
#include "tutti/optim/adam.h"
#include "tutti/optim/sgd.h"

namespace tutti {
namespace {

using test::a_loader;
using test::a_model;
using test::an_optimizer;
using test::message_of;
using testing::AllOf;
using testing::HasSubstr;

// Runs `body` on `size` ranks that share `logical_ranks`, and returns what each threw.
std::vector<std::string> on_ranks(int size, int logical_ranks,
                                  const std::function<void(Communicator&)>& body) {
  std::vector<std::string> messages(static_cast<std::size_t>(size));
  test::on_ranks(size, [&](Communicator& world) {
    world.set_logical_ranks(logical_ranks);
    messages[static_cast<std::size_t>(world.rank())] = message_of<CheckpointError>([&] { body(world); });
  });
  return messages;
}

nn::Sequential a_network(std::uint64_t seed, std::int64_t width = 4) {
  Generator rng(seed);
  return nn::Sequential(nn::Linear(3, width, rng), nn::Dropout(0.5, rng));
}

data::ImageLoader images(const Communicator& world) {
  return {{zeros({64, 2, 2}, {.dtype = DType::u8}), arange(64)}, {.batch = 16}, world};
}

class TrainStateTest : public testing::Test {
 protected:
  std::string refusal(const TrainState& state) {
    return message_of<CheckpointError>([&] { Checkpointer(run_, world_).restore(state); });
  }
  void save(const TrainState& state) { Checkpointer(run_, world_).save_now(99, state).wait(); }

  test::TemporaryDirectory directory_;
  std::string run_ = directory_ / "run";
  Communicator world_;
};

TEST_F(TrainStateTest, FingerprintCoversEveryPart) {
  auto model = a_model(), optimizer = an_optimizer(), loader = a_loader(), more = a_loader();
  auto state = TrainState{model, optimizer, loader};
  const auto first = fingerprint(state);
  EXPECT_EQ(first, fingerprint(state.whole()));
  model.fill(1);
  const auto second = fingerprint(state);
  EXPECT_NE(second, first);
  optimizer.fill(1);
  const auto third = fingerprint(state);
  EXPECT_NE(third, second);
  loader.fill(1);
  EXPECT_NE(fingerprint(state), third);
  for (auto* part : {&model, &optimizer, &loader}) part->fill(0);
  EXPECT_EQ(fingerprint(state), first);
  Generator noise(1);
  state.add("noise", noise);
  const auto with_noise = fingerprint(state);
  noise.advance(1);
  EXPECT_NE(fingerprint(state), with_noise);
}

TEST_F(TrainStateTest, GoesOnWithItsOwnSeedsOnly) {
  auto model = a_network(7), same = a_network(7), other = a_network(8);
  model(ones({5, 3}));  // moves the position
  save(TrainState{model});
  EXPECT_EQ(refusal(TrainState{same}), "nothing was thrown");
  EXPECT_EQ(fingerprint(TrainState{same}), fingerprint(TrainState{model}));
  const auto before = fingerprint(TrainState{other});
  EXPECT_THAT(refusal(TrainState{other}),
              AllOf(HasSubstr("random: 1.generator has seed 7 in the state and 8 here"),
                    HasSubstr("a run goes on with the seeds it began with")));
  EXPECT_EQ(fingerprint(TrainState{other}), before) << "half of the state was loaded";
}

TEST_F(TrainStateTest, OwnGeneratorsKeepTheirSeedsToo) {
  auto model = a_model();
  Generator noise(3), noise_of_another(4);
  auto state = TrainState{model}, other = TrainState{model};
  state.add("noise", noise);
  other.add("noise", noise_of_another);
  save(state);
  EXPECT_THAT(refusal(other), HasSubstr("noise: state has seed 3 in the state and 4 here"));
}

TEST_F(TrainStateTest, NamesWhatAnotherModelOrOptimizerLacks) {
  auto model = a_network(7), wide = a_network(7, 5);
  optim::AdamW adam(model.parameters()), wide_adam(wide.parameters());
  save(TrainState{model, adam});
  EXPECT_THAT(refusal(TrainState{wide, wide_adam}),
              HasSubstr("model.0.weight is [5, 3], the state has [4, 3]"));
  optim::SGD plain(model.parameters()), momentum(model.parameters(), {.momentum = 0.9});
  EXPECT_THAT(refusal(TrainState{model, plain}), AllOf(HasSubstr("step-0000000100 does not fit"),
                                                       HasSubstr("unexpected: optimizer.exp_avg.0.bias")));
  EXPECT_THAT(refusal(TrainState{model, momentum}), HasSubstr("missing: optimizer.momentum_buffer.0.weight"));
  optim::Adam other(model.parameters());
  EXPECT_THAT(refusal(TrainState{model, other}),
              AllOf(HasSubstr("step-0000000100 does not fit"), HasSubstr("Adam: the state is of AdamW")));
  EXPECT_THAT(refusal(TrainState{model}), HasSubstr("unexpected: optimizer."));
}

TEST_F(TrainStateTest, EveryRankRefusesAnotherNumberOfLogicalRanks) {
  const auto body = [&](Communicator& world) {
    auto model = a_model();
    Checkpointer(run_, world).restore(TrainState{model});
    if (!model.holds(1)) throw CheckpointError("not restored", "");
  };
  on_ranks(2, 8, [&](Communicator& world) {
    auto model = a_model();
    Checkpointer(run_, world).save_now(99, TrainState{model.fill(1)}).wait();
  });
  for (const int size : {1, 3, 8}) {
    EXPECT_THAT(on_ranks(size, 8, body), testing::Each("nothing was thrown"));
    EXPECT_THAT(
        on_ranks(size, 16, body),
        testing::Each(AllOf(HasSubstr("step-0000000100 was saved with 8 logical ranks, this world has 16"),
                            HasSubstr("set WorldOptions::logical_ranks or TUTTI_LOGICAL_RANKS to 8"))));
  }
  EXPECT_THAT(on_ranks(9, 9, body), testing::Each(HasSubstr("it goes on in worlds of at most 8, not 9")));
}

TEST_F(TrainStateTest, IsNotSavedInTheMiddleOfAStep) {
  const auto take_two_and_save = [&](Communicator& world) {
    auto model = a_model();
    auto loader = images(world);
    Checkpointer checkpoints(run_, world);
    auto state = TrainState{model};
    state.add("data", loader);
    loader.next();
    loader.next();
    checkpoints.save_now(0, state).wait();
  };
  EXPECT_EQ(on_ranks(2, 4, take_two_and_save), std::vector<std::string>(2, "nothing was thrown"));
  // Here two ranks have had both of their micro-batches, and the last one two of four.
  EXPECT_THAT(on_ranks(3, 8, take_two_and_save),
              testing::Each(HasSubstr("of step 0, 2 of the 4 micro-batches of this rank were taken")));
}

TEST_F(TrainStateTest, AStepThatWasGivenUpIsBegunAnew) {
  world_.set_logical_ranks(4);
  auto model = a_model();
  auto loader = images(world_);
  auto state = TrainState{model};
  state.add("data", loader);
  for (int v = 0; v < 4; ++v) loader.next();
  save(state);
  const auto expected = loader.next().labels.to_vector<std::int64_t>();
  EXPECT_EQ(refusal(state), "nothing was thrown");
  EXPECT_EQ(loader.next().labels.to_vector<std::int64_t>(), expected);
}

}  // namespace
}  // namespace tutti
