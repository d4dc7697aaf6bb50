#include "tutti/checkpoint/checkpointer.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <thread>

#include "tests/checkpoint/parts.h"
#include "tests/support/files.h"
#include "tests/support/message_of.h"
#include "tutti/checkpoint/checkpoint.h"
#include "tutti/checkpoint/safetensors.h"
#include "tutti/comm/world.h"
#include "tutti/core/error.h"
#include "tutti/core/logging.h"

namespace tutti {
namespace {

namespace fs = std::filesystem;
using test::a_loader;
using test::a_model;
using test::an_optimizer;
using test::message_of;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class CheckpointerTest : public testing::Test {
 protected:
  void fill(double value) {
    model_.fill(value);
    optimizer_.fill(value + 1000);
    loader_.fill(value + 2000);
  }
  bool holds(double value) const {
    return model_.holds(value) && optimizer_.holds(value + 1000) && loader_.holds(value + 2000);
  }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& entry : fs::directory_iterator(run_)) all.push_back(entry.path().filename());
    std::erase(all, ".lock");
    std::ranges::sort(all);
    return all;
  }
  void save_steps(Checkpointer& checkpoints, std::initializer_list<int> steps) {
    for (const int step : steps) {
      fill(step);
      checkpoints.save_now(step, state_).wait();
    }
    checkpoints.drain();  // files of old ones go after the wait
  }

  test::TemporaryDirectory directory_;
  std::string run_ = directory_ / "deep/run";
  Communicator world_;
  test::Part model_ = a_model(), optimizer_ = an_optimizer(), loader_ = a_loader();
  TrainState state_{model_, optimizer_, loader_};
};

TEST_F(CheckpointerTest, StartsAtZeroWithoutACheckpoint) {
  fill(1);
  EXPECT_EQ(Checkpointer(run_, world_).restore(state_), 0);
  EXPECT_TRUE(holds(1));
}

TEST_F(CheckpointerTest, RestoresEveryPart) {
  {
    Checkpointer checkpoints(run_, world_);
    save_steps(checkpoints, {99, 199});
  }
  fill(-1);
  EXPECT_EQ(Checkpointer(run_, world_).restore(state_), 200);
  EXPECT_TRUE(holds(199));
}

TEST_F(CheckpointerTest, LaysOutFilesThatOthersCanRead) {
  Checkpointer checkpoints(run_, world_);
  save_steps(checkpoints, {99});
  EXPECT_THAT(names(), ElementsAre("step-0000000100"));
  const safetensors::Reader model(run_ + "/step-0000000100/model.safetensors");
  EXPECT_EQ(model.entries().size(), 2u);
  EXPECT_EQ(model.at("fc.weight").dtype, "F32");
  EXPECT_EQ(model.at("fc.bias").dtype, "F64");
  EXPECT_EQ(model.metadata().at("format"), "pt");
  const safetensors::Reader train(run_ + "/step-0000000100/train.safetensors");
  EXPECT_EQ(train.at("optimizer.exp_avg.fc.weight").bytes, 48u);
  EXPECT_EQ(train.at("data.position").dtype, "I64");
  EXPECT_EQ(train.metadata().at("tutti.steps"), "100");
  EXPECT_EQ(train.metadata().at("tutti.checkpoint"), model.metadata().at("tutti.checkpoint"));
  EXPECT_EQ(test::files_in(run_ + "/step-0000000100"), 3u) << "these two and manifest.json";
}

TEST_F(CheckpointerTest, SavesEverySoManyStepsAndKeepsTheNewest) {
  Checkpointer checkpoints(run_, world_, {.every_steps = 10, .keep = 2});
  std::vector<int> saved;
  for (int step = 0; step < 45; ++step) {
    fill(step);
    if (checkpoints.save(step, state_)) saved.push_back(step);
  }
  checkpoints.drain();
  EXPECT_THAT(saved, ElementsAre(9, 19, 29, 39));
  EXPECT_THAT(names(), ElementsAre("step-0000000030", "step-0000000040"));
  EXPECT_EQ(checkpoints.restore(state_), 40);
  EXPECT_TRUE(holds(39));
}

TEST_F(CheckpointerTest, ReplacesACheckpointOfTheSameStep) {
  Checkpointer checkpoints(run_, world_);
  save_steps(checkpoints, {99});
  fill(5);
  checkpoints.save_now(99, state_).wait();
  fill(-1);
  EXPECT_EQ(checkpoints.restore(state_), 100);
  EXPECT_TRUE(holds(5));
  EXPECT_THAT(names(), ElementsAre("step-0000000100"));
}

TEST_F(CheckpointerTest, DoesNotMixWithALaterRun) {
  Checkpointer checkpoints(run_, world_);
  save_steps(checkpoints, {499});
  EXPECT_THAT(message_of<CheckpointError>([&] { checkpoints.save_now(99, state_); }),
              HasSubstr("holds step 500, later than 100"));
  EXPECT_THAT(names(), ElementsAre("step-0000000500"));
}

TEST_F(CheckpointerTest, ClearsAwayWhatADeadProcessLeft) {
  Checkpointer checkpoints(run_, world_);
  fs::create_directory(run_ + "/.step-0123456789abcdef");
  test::write_file(run_ + "/.step-0123456789abcdef/model.safetensors", "half");
  test::write_file(run_ + "/notes.txt", "the user's");
  fs::create_directory(run_ + "/step-best");
  EXPECT_EQ(checkpoints.restore(state_), 0);
  save_steps(checkpoints, {99});
  EXPECT_THAT(names(), ElementsAre("notes.txt", "step-0000000100", "step-best"));
}

TEST_F(CheckpointerTest, PassesOverDamagedOnes) {
  std::string log;
  const auto sink = logging::set_sink([&](logging::Level level, std::string_view message) {
    if (level == logging::Level::warning) log += message;
  });
  Checkpointer checkpoints(run_, world_, {.keep = 10});
  save_steps(checkpoints, {99, 199, 299, 399});
  fs::resize_file(run_ + "/step-0000000400/model.safetensors", 300);
  fs::remove(run_ + "/step-0000000300/train.safetensors");
  fill(-1);
  EXPECT_EQ(checkpoints.restore(state_), 200);
  logging::set_sink(sink);
  EXPECT_TRUE(holds(199));
  EXPECT_THAT(
      log, AllOf(HasSubstr("step-0000000400 is passed over"), HasSubstr("step-0000000300 is passed over")));
  EXPECT_EQ(names().size(), 4u) << "damaged checkpoints stay until there is a new one";

  EXPECT_EQ(checkpoints.restored().path, run_ + "/step-0000000200");
  ASSERT_EQ(checkpoints.restored().passed_over.size(), 2u);
  EXPECT_THAT(checkpoints.restored().passed_over[0].reason, HasSubstr("step-0000000400/model.safetensors"));

  save_steps(checkpoints, {249});
  EXPECT_THAT(names(),
              ElementsAre(StartsWith("damaged-step-0000000300-"), StartsWith("damaged-step-0000000400-"),
                          "step-0000000100", "step-0000000200", "step-0000000250"));
}

// What is loaded lies in memory of the saver, which takes other memory then.
TEST_F(CheckpointerTest, LeavesTensorsAloneThatAPartKeeps) {
  struct Keeper {
    Tensor kept = zeros({1000});
    NamedTensors state_dict() const { return {{"kept", kept}}; }
    void load_state_dict(const NamedTensors& state) { kept = state[0].tensor; }
  } keeper;
  keeper.kept.fill_(7);
  const TrainState state{keeper};
  Checkpointer checkpoints(run_, world_);
  checkpoints.save_now(0, state).wait();
  checkpoints.restore(state);
  const Tensor kept = keeper.kept;
  keeper.kept = zeros({1000});
  checkpoints.save_now(1, state).wait();
  EXPECT_THAT(kept.to_vector<float>(), Each(7.0F));
}

TEST_F(CheckpointerTest, DoesNotStartAfreshWhenAllAreDamaged) {
  Checkpointer checkpoints(run_, world_);
  save_steps(checkpoints, {99, 199});
  test::write_file(run_ + "/step-0000000100/model.safetensors", "");
  fs::copy_file(run_ + "/step-0000000100/train.safetensors", run_ + "/step-0000000200/train.safetensors",
                fs::copy_options::overwrite_existing);
  fill(-1);
  EXPECT_THAT(message_of<CheckpointError>([&] { checkpoints.restore(state_); }),
              AllOf(HasSubstr("every checkpoint in"), HasSubstr("step-0000000100/model.safetensors"),
                    HasSubstr("step-0000000200/train.safetensors")));
  EXPECT_TRUE(holds(-1));
}

TEST_F(CheckpointerTest, NamesTheDifferencesToAnotherModel) {
  Checkpointer checkpoints(run_, world_);
  save_steps(checkpoints, {99});
  test::Part other("model", {{"fc.weight", zeros({5, 3})}, {"head.weight", zeros({2})}});
  const TrainState state{other, optimizer_, loader_};
  fill(-1);
  EXPECT_THAT(message_of<CheckpointError>([&] { checkpoints.restore(state); }),
              AllOf(HasSubstr("step-0000000100 does not fit"), HasSubstr("missing: model.head.weight"),
                    HasSubstr("unexpected: model.fc.bias"),
                    HasSubstr("model.fc.weight is [5, 3], the state has [4, 3]")));
  EXPECT_TRUE(other.holds(0));
  EXPECT_TRUE(holds(-1));
}

TEST_F(CheckpointerTest, LoadsNothingWhenALaterPartDoesNotFit) {
  Checkpointer checkpoints(run_, world_);
  save_steps(checkpoints, {99});
  fill(-1);
  test::Part other("loader", {{"cursor", zeros({})}});
  EXPECT_THAT(message_of<CheckpointError>([&] {
                checkpoints.restore(TrainState{model_, optimizer_, other});
              }),
              HasSubstr("missing: data.cursor"));
  EXPECT_TRUE(holds(-1));
  EXPECT_THAT(message_of<CheckpointError>([&] {
                checkpoints.restore(TrainState{model_, optimizer_});
              }),
              HasSubstr("unexpected: data.position"));
  EXPECT_TRUE(holds(-1));
}

TEST_F(CheckpointerTest, SavesFurtherPartsByName) {
  Checkpointer checkpoints(run_, world_);
  test::Part schedule("schedule", {{"best.loss", zeros({}, {.dtype = DType::f64})}});
  Generator noise(3);
  state_.add("schedule", schedule).add("noise", noise);
  schedule.fill(7);
  const auto position = (rand({5}, noise), noise.state().position);
  checkpoints.save_now(99, state_).wait();
  schedule.fill(0);
  noise.set_state({.seed = 3, .stream = 9, .position = 0});
  checkpoints.restore(state_);
  EXPECT_TRUE(schedule.holds(7));
  EXPECT_EQ(noise.state().seed, 3u);
  EXPECT_EQ(noise.state().stream, 9u);
  EXPECT_EQ(noise.state().position, position);
  EXPECT_EQ(safetensors::Reader(run_ + "/step-0000000100/train.safetensors").at("schedule.best.loss").bytes,
            8u);
  EXPECT_THROW(state_.add("schedule", schedule), ConfigError);
  EXPECT_THROW(state_.add("a.b", schedule), ConfigError);
  EXPECT_THROW(state_.add("", schedule), ConfigError);
}

TEST_F(CheckpointerTest, RefusesOptionsBelowOne) {
  EXPECT_THROW(Checkpointer(run_, world_, {.every_steps = 0}), ConfigError);
  EXPECT_THROW(Checkpointer(run_, world_, {.keep = 0}), ConfigError);
}

// Runs `body` on `size` ranks and returns what each threw.
std::vector<std::string> on_ranks(int size, const std::function<void(Communicator&)>& body) {
  auto ranks = World::threads(size);
  std::vector<std::string> messages(ranks.size());
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    threads.emplace_back([&, r] { messages[r] = message_of<CheckpointError>([&] { body(ranks[r]); }); });
  }
  for (auto& thread : threads) thread.join();
  return messages;
}

TEST_F(CheckpointerTest, AnyWorldGoesOnFromAnyOther) {
  const auto run = [&](int size, std::int64_t expected, int step) {
    const auto messages = on_ranks(size, [&](Communicator& world) {
      world.set_logical_ranks(4);
      auto model = a_model(), optimizer = an_optimizer(), loader = a_loader();
      const TrainState state{model, optimizer, loader};
      Checkpointer checkpoints(run_, world, {.every_steps = 10});
      if (checkpoints.restore(state) != expected) throw CheckpointError("another step", "");
      if (!model.holds(static_cast<double>(expected))) throw CheckpointError("another model", "");
      model.fill(step + 1);
      if (!checkpoints.save(step, state)) throw CheckpointError("not saved", "");
    });
    EXPECT_THAT(messages, testing::Each("nothing was thrown"));
  };
  run(4, 0, 9);
  run(3, 10, 19);
  run(1, 20, 29);
  run(2, 30, 39);
  const Checkpoint last(run_ + "/step-0000000040");
  EXPECT_EQ(last.world_size(), 2);
  EXPECT_EQ(last.logical_ranks(), 4);
}

TEST_F(CheckpointerTest, AFailureOnOneRankIsAnErrorOnAll) {
  EXPECT_THAT(on_ranks(3, [](Communicator& world) { Checkpointer("/proc/none/run", world); }),
              testing::Each(HasSubstr("cannot make directory /proc/none/run")));
  {
    world_.set_logical_ranks(4);
    Checkpointer checkpoints(run_, world_);
    save_steps(checkpoints, {99});
  }
  const auto messages = on_ranks(3, [&](Communicator& world) {
    auto model = a_model(world.rank() == 1 ? 5 : 4), optimizer = an_optimizer(), loader = a_loader();
    Checkpointer(run_, world).restore(TrainState{model, optimizer, loader});
  });
  EXPECT_THAT(messages, testing::Each(HasSubstr("fc.weight is [5, 3]")));
}

TEST_F(CheckpointerTest, WhateverAPartThrowsOnOneRankIsAnErrorOnAll) {
  struct Moody {
    bool works;
    NamedTensors state_dict() const {
      return works ? NamedTensors{{"a", zeros({2})}} : throw std::runtime_error("not in the mood");
    }
    void load_state_dict(const NamedTensors&) {}
  };
  const auto messages = on_ranks(2, [&](Communicator& world) {
    world.set_timeout(std::chrono::seconds(30));
    Moody part{.works = world.rank() == 0};
    Checkpointer(run_, world).restore(TrainState{part});
  });
  EXPECT_THAT(messages, Each(HasSubstr("not in the mood")));
}

// The next call tells it to all who have not seen it: a rank that has must not wait for them in vain.
TEST_F(CheckpointerTest, AFailureThatOneRankHasSeenIsAnErrorOnAll) {
  const auto messages = on_ranks(2, [&](Communicator& world) {
    world.set_timeout(std::chrono::seconds(30));
    auto model = a_model();
    const TrainState state{model};
    Checkpointer checkpoints(run_, world);
    checkpoints.save_now(99, state).wait();
    checkpoints.drain();
    int lock = -1;  // somebody else's
    if (world.rank() == 0) {
      lock = ::open((run_ + "/.lock").c_str(), O_RDWR);
      EXPECT_EQ(::flock(lock, LOCK_EX), 0);
    }
    world.barrier();
    const Save save = checkpoints.save_now(199, state);
    while (!save.done()) std::this_thread::yield();
    if (world.rank() == 0) {
      EXPECT_THROW(save.wait(), CheckpointError);
    }
    EXPECT_THAT(message_of<CheckpointError>([&] { checkpoints.restore(state); }),
                HasSubstr("another run is saving"));
    EXPECT_EQ(checkpoints.restore(state), 100);
    if (lock >= 0) ::close(lock);
  });
  EXPECT_THAT(messages, Each("nothing was thrown"));
}

}  // namespace
}  // namespace tutti
