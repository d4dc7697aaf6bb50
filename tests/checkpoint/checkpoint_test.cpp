// A checkpoint looked at by itself, and one saved by itself.
#include "tutti/checkpoint/checkpoint.h"

#include <gmock/gmock.h>

#include <atomic>
#include <filesystem>
#include <numeric>

#include "tests/checkpoint/parts.h"
#include "tests/support/files.h"
#include "tests/support/message_of.h"
#include "tests/support/ranks.h"
#include "tutti/checkpoint/checkpointer.h"
#include "tutti/checkpoint/safetensors.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class CheckpointTest : public testing::Test {
 protected:
  // Saved by `ranks` ranks; returns its fingerprint.
  std::string save(int ranks, const checkpoint::SaveOptions& options = {.steps = 7}) {
    std::string saved;
    test::on_ranks(ranks, [&](Communicator& world) {
      world.set_logical_ranks(4);
      const TrainState state{model_, loader_};
      checkpoint::save(state, one_, world, options);
      if (world.rank() == 0) saved = fingerprint(state);
    });
    return saved;
  }

  test::TemporaryDirectory directory_;
  std::string one_ = directory_ / "one";
  test::Part model_{"model", {{"w", arange(40'000).to(DType::f32)}, {"none", zeros({0, 3})}}};
  test::Part loader_ = test::a_loader().fill(12);
};

TEST_F(CheckpointTest, TellsWhatItIs) {
  for (const int ranks : {1, 3}) {
    const auto saved = save(ranks);
    const Checkpoint checkpoint(one_);
    EXPECT_EQ(checkpoint.path(), one_);
    EXPECT_EQ(checkpoint.steps(), 7);
    EXPECT_EQ(checkpoint.world_size(), ranks);
    EXPECT_EQ(checkpoint.logical_ranks(), 4);
    EXPECT_EQ(checkpoint.uuid().size(), 32u);
    EXPECT_FALSE(checkpoint.encrypted());
    EXPECT_EQ(checkpoint.files().size(), ranks == 1 ? 2u : 3u);
    for (const auto& file : checkpoint.files()) EXPECT_EQ(fs::file_size(one_ + "/" + file.name), file.bytes);
    ASSERT_EQ(checkpoint.tensors().size(), 3u);
    const auto& w = checkpoint.tensors()[0];
    EXPECT_EQ(w.name, "model.w");
    EXPECT_EQ(w.shape, Shape{40'000});
    EXPECT_EQ(w.bytes, 160'000u);
    EXPECT_EQ(w.files, static_cast<std::size_t>(ranks));
    EXPECT_EQ(checkpoint.at("model.none").files, 1u);
    EXPECT_EQ(checkpoint.fingerprint(), saved);
    fs::remove_all(one_);
  }
}

TEST_F(CheckpointTest, ReadsAnySlice) {
  save(3);
  const Checkpoint checkpoint(one_);
  EXPECT_EQ(checkpoint.read("optimizer.position").item<std::int64_t>(), 12);
  EXPECT_EQ(checkpoint.read("model.none").shape(), (Shape{0, 3}));
  for (const auto& [first, count] : {std::pair(0, 40'000), {13'333, 1}, {13'330, 20}, {39'999, 1}, {7, 0}}) {
    std::vector<float> part(static_cast<std::size_t>(count)), expected(part);
    std::iota(expected.begin(), expected.end(), static_cast<float>(first));
    checkpoint.read("model.w", first, part);
    EXPECT_EQ(part, expected) << first;
  }
  std::vector<float> two(2);
  EXPECT_THROW(checkpoint.read("model.w", 39'999, two), ShapeError);
  EXPECT_THROW(checkpoint.read("model.w", -1, two), ShapeError);
  std::vector<double> doubles(2);
  EXPECT_THROW(checkpoint.read("model.w", 0, doubles), DTypeError);
  EXPECT_THAT(message_of<CheckpointError>([&] { checkpoint.read("model.x"); }),
              HasSubstr("has no tensor \"model.x\""));
}

TEST_F(CheckpointTest, VerifyNamesWhatIsDamaged) {
  save(3);
  const auto file = one_ + "/shard-00001-of-00003.safetensors";
  auto text = test::read_file(file);
  const auto at = safetensors::Reader(file).at("model.w").offset + 40'000;
  text[at] ^= 4;
  test::write_file(file, text);
  fs::remove(one_ + "/shard-00002-of-00003.safetensors");
  const Checkpoint checkpoint(one_);
  std::atomic<std::uint64_t> seen = 0;
  const auto damage = checkpoint.verify([&](std::uint64_t bytes) { seen += bytes; });
  ASSERT_EQ(damage.size(), 2u);
  EXPECT_EQ(damage[0].file, "shard-00001-of-00003.safetensors");
  EXPECT_LE(damage[0].offset, static_cast<std::int64_t>(at));
  EXPECT_GT(damage[0].offset + (32 << 10), static_cast<std::int64_t>(at));
  EXPECT_THAT(damage[0].message, AllOf(HasSubstr("have the checksum"), HasSubstr("\"model.w\" is there")));
  EXPECT_EQ(damage[1].file, "shard-00002-of-00003.safetensors");
  EXPECT_GT(seen, 40'000u);
  std::vector<float> start(100);
  checkpoint.read("model.w", 0, start);  // what is whole can be read
}

TEST_F(CheckpointTest, IsSavedAndLoadedByItself) {
  for (const bool single : {false, true}) {
    save(2, {.steps = 3, .single_file = single});
    EXPECT_EQ(fs::exists(one_ + "/model.safetensors"), single);
    EXPECT_THAT(message_of<CheckpointError>([&] { save(2); }), HasSubstr("one is there already"));
    EXPECT_EQ(test::files_in(directory_.path()), 1u) << "and nothing beside it";
    test::on_ranks(3, [&](Communicator& world) {
      world.set_logical_ranks(4);
      test::Part model("model", {{"w", zeros({40'000})}, {"none", zeros({0, 3})}});
      auto loader = test::a_loader();
      EXPECT_EQ(checkpoint::load(TrainState{model, loader}, one_, world), 3);
      EXPECT_EQ(model.state_dict()[0].tensor.to_vector<float>(),
                model_.state_dict()[0].tensor.to_vector<float>());
      EXPECT_TRUE(loader.holds(12));
    });
    fs::remove_all(one_);
  }
  const TrainState state{model_, loader_};
  checkpoint::save(state, one_ + "/");
  EXPECT_EQ(checkpoint::load(state, one_), 0);
  EXPECT_THAT(message_of<CheckpointError>([&] { checkpoint::save(state, directory_ / "none/one"); }),
              HasSubstr("none"));
  EXPECT_THAT(message_of<CheckpointError>([&] { checkpoint::load(state, directory_ / "two"); }),
              HasSubstr("two"));
}

TEST_F(CheckpointTest, ListsThoseOfARun) {
  Communicator world;
  Checkpointer checkpoints(directory_ / "run", world, {.keep = 2, .keep_every = 10});
  const TrainState state{model_, loader_};
  for (const int step : {4, 9, 14, 19, 24, 29, 34}) checkpoints.save_now(step, state).wait();
  std::vector<std::int64_t> steps;
  for (const auto& path : Checkpoint::list(directory_ / "run")) steps.push_back(Checkpoint(path).steps());
  EXPECT_THAT(steps, ElementsAre(35, 30, 20, 10));
}

}  // namespace
}  // namespace tutti
