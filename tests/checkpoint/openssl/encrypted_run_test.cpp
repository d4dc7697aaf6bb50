// Runs whose checkpoints are encrypted.
#include <gmock/gmock.h>

#include <filesystem>

#include "encryption_support.h"
#include "tests/checkpoint/parts.h"
#include "tests/support/message_of.h"
#include "tests/support/ranks.h"
#include "tutti/checkpoint/checkpoint.h"
#include "tutti/checkpoint/checkpointer.h"

namespace tutti {
namespace {

namespace fs = std::filesystem;
using test::a_model;
using test::an_optimizer;
using test::message_of;
using testing::AllOf;
using testing::HasSubstr;

class EncryptedRun : public testing::Test {
 protected:
  CheckpointerOptions options() const { return {.encrypt = Encryption{{ours_}}}; }
  CheckpointerOptions others() const { return {.encrypt = Encryption{{theirs_}}}; }
  // Of more than one segment a rank.
  static test::Part model() { return a_model(250'000); }
  void save(int ranks, std::int64_t step, double value) {
    test::on_ranks(ranks, [&](Communicator& world) {
      world.set_logical_ranks(4);
      auto part = model();
      Checkpointer(run_, world, options()).save_now(step, TrainState{part.fill(value)}).wait();
    });
  }
  std::string restoring(const CheckpointerOptions& options) {
    auto part = model();
    return message_of<CheckpointError>(
        [&] { Checkpointer(run_, world_, options).restore(TrainState{part}); });
  }

  void SetUp() override { world_.set_logical_ranks(4); }

  test::TemporaryDirectory directory_;
  std::string run_ = directory_ / "run", first_ = run_ + "/step-0000000001";
  test::SharedKey ours_ = test::a_key(directory_, "ours"), theirs_ = test::a_key(directory_, "theirs");
  Communicator world_;
};

TEST_F(EncryptedRun, AnyWorldGoesOn) {
  save(2, 0, 3.25);
  for (const auto& entry : fs::directory_iterator(first_)) {
    const auto name = entry.path().filename().string();
    EXPECT_TRUE(name == "keys.json" || name.ends_with(".enc")) << name;
  }
  for (const int ranks : {1, 3}) {
    test::on_ranks(ranks, [&](Communicator& world) {
      world.set_logical_ranks(4);
      auto part = model();
      EXPECT_EQ(Checkpointer(run_, world, options()).restore(TrainState{part}), 1);
      EXPECT_TRUE(part.holds(3.25));
    });
  }
}

TEST_F(EncryptedRun, EachElementComesToItsPlace) {
  test::Part saved("model", test::numbered(1)), loaded("model", test::numbered(-9'000'000));
  Checkpointer(run_, world_, options()).save_now(0, TrainState{saved}).wait();
  Checkpointer(run_, world_, options()).restore(TrainState{loaded});
  const auto expected = saved.state_dict(), found = loaded.state_dict();
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_EQ(found[i].tensor.to_vector<std::int64_t>(), expected[i].tensor.to_vector<std::int64_t>());
  const Checkpoint checkpoint(first_, Encryption{{ours_}});
  for (const auto& [name, tensor] : expected)
    EXPECT_EQ(checkpoint.read("model." + name).to_vector<std::int64_t>(), tensor.to_vector<std::int64_t>());
}

// The checksums that are in it too are of no use to one who has no key, and are not looked at when it is loaded.
TEST_F(EncryptedRun, Fault58_NoSegmentIsTakenUnchecked) {
  save(1, 0, 1);
  save(1, 1, 2);
  const auto file = run_ + "/step-0000000002/model.safetensors.enc";
  const auto text = test::read_file(file);
  for (std::size_t at = 0; at < text.size(); at += std::size_t{1} << 20) {
    auto changed = text;
    changed[std::min(at + 70'000, text.size() - 1)] ^= 1;
    test::write_file(file, changed);
    auto part = model();
    EXPECT_EQ(Checkpointer(run_, world_, options()).restore(TrainState{part}), 1) << at;
    EXPECT_TRUE(part.holds(1));
  }
}

TEST_F(EncryptedRun, NothingOfTheStateIsOnDisk) {
  auto part = model();
  const TrainState state{part.fill(3.25)};
  Checkpointer(run_, world_, options()).save_now(0, state).wait();
  const float value = 3.25;
  const std::string_view four(reinterpret_cast<const char*>(&value), 4);
  for (const auto& entry : fs::directory_iterator(first_)) {
    const auto text = test::read_file(entry.path().string());
    EXPECT_EQ(text.find(std::string(four) + std::string(four)), text.npos) << entry.path();
    EXPECT_EQ(text.find("fc.weight"), text.npos) << entry.path();
  }
}

TEST_F(EncryptedRun, IsLookedAtWithItsKeys) {
  save(2, 0, 3.25);
  const Checkpoint checkpoint(first_, Encryption{{ours_}});
  EXPECT_TRUE(checkpoint.encrypted());
  EXPECT_EQ(checkpoint.at("model.fc.weight").files, 2u);
  EXPECT_EQ(checkpoint.read("model.fc.weight").to_vector<float>(), std::vector<float>(750'000, 3.25F));
  EXPECT_TRUE(checkpoint.verify().empty());
  EXPECT_THAT(message_of<CheckpointError>([&] { Checkpoint plain(first_); }), HasSubstr("no keys are given"));
  fs::copy(first_, directory_ / "best");
  EXPECT_THAT(
      message_of<CheckpointError>([&] { Checkpoint renamed(directory_ / "best", Encryption{{ours_}}); }),
      HasSubstr("under the name step-... that it was saved under, not best"));
  fs::rename(first_, run_ + "/step-0000000002");
  EXPECT_THAT(
      message_of<CheckpointError>([&] { Checkpoint moved(run_ + "/step-0000000002", Encryption{{ours_}}); }),
      HasSubstr("manifest.json.enc"));
}

TEST_F(EncryptedRun, Fault71_OtherKeysDoNotOpenItAndItIsNotPassedOver) {
  save(1, 0, 1);
  save(1, 1, 2);
  EXPECT_THAT(restoring(others()),
              AllOf(HasSubstr("step-0000000002"), HasSubstr("none of them is among the keys")));
  EXPECT_THAT(restoring({}), HasSubstr("no keys are given"));
  EXPECT_EQ(restoring(options()), "nothing was thrown");
}

TEST_F(EncryptedRun, Fault72_PlaintextIsNotAccepted) {
  auto part = model();
  Checkpointer(run_, world_).save_now(0, TrainState{part}).wait();
  EXPECT_THAT(restoring(options()), HasSubstr("encryption is asked for, but there is no keys.json"));
}

TEST_F(EncryptedRun, Fault58_ADamagedSegmentIsNamedAndTheOlderOneLoaded) {
  save(1, 0, 1);
  save(1, 1, 2);
  const auto file = run_ + "/step-0000000002/model.safetensors.enc";
  auto text = test::read_file(file);
  text[(std::size_t{2} << 20) + 5] ^= 1;
  test::write_file(file, text);
  auto part = model();
  Checkpointer checkpoints(run_, world_, options());
  EXPECT_EQ(checkpoints.restore(TrainState{part}), 1);
  EXPECT_TRUE(part.holds(1));
  ASSERT_EQ(checkpoints.restored().passed_over.size(), 1u);
  EXPECT_THAT(checkpoints.restored().passed_over[0].reason, HasSubstr("model.safetensors.enc"));
  const auto damage = Checkpoint(run_ + "/step-0000000002", Encryption{{ours_}}).verify();
  ASSERT_EQ(damage.size(), 1u);
  EXPECT_EQ(damage[0].offset, 2 << 20);
}

TEST_F(EncryptedRun, Fault74_AShardOfAnotherCheckpointIsRefused) {
  save(2, 0, 1);
  save(2, 1, 2);
  const std::string shard = "/shard-00000-of-00002.safetensors.enc";
  fs::copy_file(first_ + shard, run_ + "/step-0000000002" + shard, fs::copy_options::overwrite_existing);
  auto part = model();
  EXPECT_EQ(Checkpointer(run_, world_, options()).restore(TrainState{part}), 1);
}

}  // namespace
}  // namespace tutti
