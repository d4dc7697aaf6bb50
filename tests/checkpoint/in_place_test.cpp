// Checkpoints that are read right into the state.
#include <gmock/gmock.h>

#include "tests/checkpoint/parts.h"
#include "tests/support/files.h"
#include "tests/support/message_of.h"
#include "tests/support/ranks.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/reduce.h"
#include "tutti/checkpoint/checkpoint.h"
#include "tutti/checkpoint/checkpointer.h"
#include "tutti/checkpoint/safetensors.h"
#include "tutti/core/error.h"
#include "tutti/nn/linear.h"
#include "tutti/nn/loss.h"
#include "tutti/nn/sequential.h"
#include "tutti/optim/adam.h"
#include "tutti/parallel/data_parallel.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

// A run with a step behind it.
struct Training {
  explicit Training(unsigned seed) : rng(seed) {
    mse_loss(model(ones({2, 300})), zeros({2, 2})).backward();
    optimizer.step();
  }
  TrainState state() { return TrainState{model, optimizer}; }

  Generator rng;
  nn::Sequential model{nn::Linear(300, 400, rng), nn::Linear(400, 2, rng)};
  optim::AdamW optimizer{model.parameters()};
};

class InPlace : public testing::Test {
 protected:
  std::string save(Training& run, std::int64_t step) {
    Checkpointer(run_, world_, {.keep = 10}).save_now(step, run.state()).wait();
    return fingerprint(run.state());
  }
  // Far behind what is read first.
  void damage(const std::string& checkpoint) {
    const auto file = run_ + "/" + checkpoint + "/model.safetensors";
    auto text = test::read_file(file);
    text[safetensors::Reader(file).at("0.weight").offset + 300'000] ^= 1;
    test::write_file(file, text);
  }
  std::string refusal(Training& run) {
    try {
      Checkpointer(run_, world_).restore(run.state());
    } catch (const CheckpointError& error) {
      return error.what();
    }
    return "nothing was thrown";
  }

  test::TemporaryDirectory directory_;
  std::string run_ = directory_ / "run";
  Communicator world_;
};

std::vector<std::string> names_of(const NamedTensors& tensors) {
  std::vector<std::string> names;
  for (const auto& tensor : tensors) names.push_back(tensor.name);
  return names;
}

TEST_F(InPlace, EveryTensorKeepsItsMemory) {
  Training saved(1), run(2);
  const auto expected = save(saved, 0);
  std::vector<const void*> before, after;
  for (const auto& [name, tensor] : run.state().in_place()) before.push_back(tensor.raw_data());
  EXPECT_EQ(before.size(), 4u + 3 * 4u) << "weights and biases, and of each two moments and a step";
  EXPECT_EQ(Checkpointer(run_, world_).restore(run.state()), 1);
  for (const auto& [name, tensor] : run.state().in_place()) after.push_back(tensor.raw_data());
  EXPECT_EQ(before, after);
  EXPECT_EQ(fingerprint(run.state()), expected);
}

TEST_F(InPlace, TheTapeSeesThatItsTensorsChanged) {
  Training run(1);
  save(run, 0);
  const Tensor weight = run.model.parameters()[0].tensor;
  const Tensor loss = sum(weight * weight);
  Checkpointer(run_, world_).restore(run.state());
  EXPECT_THROW(loss.backward(), AutogradError);
}

TEST_F(InPlace, NotOfTensorsThatShareMemoryOrAreNotContiguous) {
  struct Part {
    Tensor table = ones({4, 4}), alone = ones({3});
    NamedTensors state_dict() const {
      return {{"table", table},
              {"tied", table},
              {"row", table.slice(0, 1, 2)},
              {"turned", ones({2, 3}).transpose(0, 1)},
              {"flags", zeros({2}, {.dtype = DType::bool_})},
              {"none", zeros({0})},
              {"alone", alone}};
    }
    void load_state_dict(const NamedTensors&) {}
    NamedTensors in_place() const { return state_dict(); }
    void load_rest(const NamedTensors&) {}
    void loaded() {}
  } part;
  EXPECT_EQ(names_of(TrainState{part}.in_place()), std::vector<std::string>{"model.alone"});
}

TEST_F(InPlace, NotOfWhatTheStateIsNotIn) {
  struct Part {
    Tensor weight = ones({4});
    NamedTensors state_dict() const { return {{"weight", weight}}; }
    void load_state_dict(const NamedTensors& state) { copy_by_name("part", state_dict(), state); }
    NamedTensors in_place() const { return {{"weight", zeros({400})}, {"other", zeros({4})}}; }
    void load_rest(const NamedTensors& rest) { load_state_dict(rest); }
    void loaded() {}
  } part;
  Checkpointer checkpoints(run_, world_);
  checkpoints.save_now(0, TrainState{part}).wait();
  part.weight.fill_(3);
  EXPECT_EQ(checkpoints.restore(TrainState{part}), 1);
  EXPECT_EQ(part.weight.to_vector<float>(), std::vector<float>(4, 1));
}

TEST_F(InPlace, Fault52_WhatIsDamagedInTheMiddleIsOverwrittenByTheOlderOne) {
  Training first(1), second(2), run(3);
  const auto expected = save(first, 0);
  save(second, 1);
  damage("step-0000000002");
  Checkpointer checkpoints(run_, world_);
  EXPECT_EQ(checkpoints.restore(run.state()), 1);
  EXPECT_EQ(checkpoints.restored().passed_over.size(), 1u);
  EXPECT_EQ(fingerprint(run.state()), expected);
}

TEST_F(InPlace, Fault52_AnErrorTellsThatTheStateIsOverwrittenInPart) {
  Training saved(1), run(2);
  save(saved, 0);
  damage("step-0000000001");
  EXPECT_THAT(refusal(run),
              AllOf(HasSubstr("every checkpoint"), HasSubstr("the state is overwritten in part")));
  EXPECT_THAT(
      test::message_of<CheckpointError>([&] { checkpoint::load(run.state(), run_ + "/step-0000000001"); }),
      HasSubstr("the state is overwritten in part"));
}

TEST_F(InPlace, WhatDoesNotFitIsRefusedBefore) {
  Training saved(1), run(2);
  save(saved, 0);
  optim::Adam other(run.model.parameters());
  const TrainState state{run.model, other};
  const auto before = fingerprint(state);
  const auto message = test::message_of<CheckpointError>([&] { Checkpointer(run_, world_).restore(state); });
  EXPECT_THAT(message, AllOf(HasSubstr("Adam: the state is of AdamW"), Not(HasSubstr("overwritten"))));
  EXPECT_EQ(fingerprint(state), before);
}

// What was gathered before is not what the next forward pass may use.
TEST_F(InPlace, OfParametersThatAreGathered) {
  test::on_ranks(2, [&](Communicator& world) {
    const auto losses_of = [&](unsigned seed, bool restore) {
      Generator rng(seed);
      nn::Sequential model(nn::Linear(6, 5, rng), nn::Linear(5, 2, rng));
      DataParallel parallel(model, world, {.shard = Shard::parameters});
      optim::AdamW optimizer(parallel.parameters());
      auto full_model = parallel.full();
      auto full_optimizer = parallel.full(optimizer);
      const TrainState state{full_model, full_optimizer};
      Checkpointer checkpoints(run_, world);
      const DataParallel::Gathered gathered(parallel);
      if (restore)
        checkpoints.restore(state);
      else
        checkpoints.save_now(0, state).wait();
      return mse_loss(model(ones({2, 6})), zeros({2, 2})).item();
    };
    const auto saved = losses_of(1, false);
    EXPECT_EQ(losses_of(2, true), saved);
  });
}

}  // namespace
}  // namespace tutti
