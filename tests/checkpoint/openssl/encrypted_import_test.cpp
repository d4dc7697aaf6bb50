// Encrypted runs that begin with what others have trained.
#include <gmock/gmock.h>

#include <filesystem>

#include "encryption_support.h"
#include "tests/checkpoint/parts.h"
#include "tests/support/message_of.h"
#include "tests/support/ranks.h"
#include "tutti/checkpoint/checkpointer.h"
#include "tutti/checkpoint/exchange.h"
#include "tutti/checkpoint/safetensors.h"

namespace tutti {
namespace {

namespace fs = std::filesystem;
using checkpoint::import_safetensors;
using test::message_of;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::vector<std::string> names_in(const std::string& path) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(path)) names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

class EncryptedImport : public testing::Test {
 protected:
  checkpoint::ImportOptions importing() const { return {.logical_ranks = 2, .encrypt = Encryption{{ours_}}}; }
  void import(const NamedTensors& tensors) {
    safetensors::save(source_, tensors);
    import_safetensors(source_, made_, importing());
  }
  std::string restoring(const std::optional<Encryption>& keys) {
    test::Part part("model", test::numbered(1));
    Communicator world;
    world.set_logical_ranks(2);
    return message_of<CheckpointError>(
        [&] { Checkpointer(run_, world, {.encrypt = keys}).restore(TrainState{part}); });
  }

  test::TemporaryDirectory directory_;
  std::string source_ = directory_ / "model.safetensors";
  std::string run_ = directory_ / "run", made_ = run_ + "/step-0000000000";
  test::SharedKey ours_ = test::a_key(directory_, "ours"), theirs_ = test::a_key(directory_, "theirs");
};

void expect_equal(const NamedTensors& found, const NamedTensors& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(found[i].tensor.to_vector<std::int64_t>(), expected[i].tensor.to_vector<std::int64_t>())
        << expected[i].name;
  }
}

TEST_F(EncryptedImport, ARunGoesOnFromIt) {
  const auto tensors = test::numbered(1);
  import(tensors);
  for (const int ranks : {1, 2}) {
    test::on_ranks(ranks, [&](Communicator& world) {
      world.set_logical_ranks(2);
      test::Part part("model", test::numbered(-9'000'000));
      Checkpointer checkpoints(run_, world, {.encrypt = Encryption{{ours_}}});
      EXPECT_EQ(checkpoints.restore(TrainState{part}), ranks - 1);
      expect_equal(part.state_dict(), tensors);
      checkpoints.save_now(ranks - 1, TrainState{part}).wait();
    });
  }
  EXPECT_EQ(restoring(Encryption{{theirs_, ours_}}), "nothing was thrown");
  EXPECT_THAT(restoring(Encryption{{theirs_}}), HasSubstr("none of them is among the keys"));
  EXPECT_THAT(restoring({}), HasSubstr("no keys are given"));
}

TEST_F(EncryptedImport, EachRecipientOpensIt) {
  safetensors::save(source_, test::numbered(1));
  auto options = importing();
  options.encrypt->recipients.push_back(theirs_);
  import_safetensors(source_, made_, options);
  for (const auto& key : {ours_, theirs_}) EXPECT_EQ(restoring(Encryption{{key}}), "nothing was thrown");
}

// The head has a segment and more.
TEST_F(EncryptedImport, TakesManyTensors) {
  NamedTensors tensors;
  for (int i = 0; i < 12'000; ++i)
    tensors.push_back({"layer." + std::to_string(i) + ".bias", tensor<std::int64_t>({i, -i}, {2})});
  import(tensors);
  const Checkpoint checkpoint(made_, Encryption{{ours_}});
  EXPECT_TRUE(checkpoint.verify().empty());
  for (int i = 0; i < 12'000; i += 97) {
    EXPECT_THAT(checkpoint.read("model." + tensors[i].name).to_vector<std::int64_t>(), ElementsAre(i, -i));
  }
}

TEST_F(EncryptedImport, DamageIsFound) {
  import(test::numbered(1));
  const Checkpoint checkpoint(made_, Encryption{{ours_}});
  EXPECT_TRUE(checkpoint.encrypted());
  EXPECT_TRUE(checkpoint.verify().empty());
  const auto file = made_ + "/model.safetensors.enc";
  const auto text = test::read_file(file);
  ASSERT_GT(text.size(), std::size_t{8} << 20);
  for (std::size_t at = 0; at < text.size(); at += std::size_t{1} << 20) {
    auto changed = text;
    changed[std::min(at + 70'000, text.size() - 1)] ^= 1;
    test::write_file(file, changed);
    EXPECT_FALSE(Checkpoint(made_, Encryption{{ours_}}).verify().empty()) << at;
  }
}

// Not for a moment either: it is looked for after each tensor.
TEST_F(EncryptedImport, NothingOfItIsOnDiskInPlaintext) {
  NamedTensors tensors;
  for (int i = 0; i < 5; ++i) tensors.push_back({"fc.weight." + std::to_string(i), full({1'000'001}, 3.25)});
  safetensors::save(source_, tensors);
  const float value = 3.25;
  const std::string four(reinterpret_cast<const char*>(&value), 4);
  std::size_t looked_at = 0;
  const auto look = [&] {
    for (const auto& entry : fs::recursive_directory_iterator(run_)) {
      if (!entry.is_regular_file()) continue;
      const auto text = test::read_file(entry.path().string());
      EXPECT_EQ(text.find(four + four), text.npos) << entry.path();
      EXPECT_EQ(text.find("fc.weight"), text.npos) << entry.path();
      looked_at += text.size();
    }
  };
  auto options = importing();
  options.progress = [&](std::uint64_t) { look(); };
  import_safetensors(source_, made_, options);
  look();
  EXPECT_GT(looked_at, std::size_t{100} << 20);
  EXPECT_THAT(names_in(made_), ElementsAre("keys.json", "manifest.json.enc", "model.safetensors.enc",
                                           "train.safetensors.enc"));
}

TEST_F(EncryptedImport, LeavesNothingBehindWhereItFails) {
  fs::create_directory(run_);
  auto options = importing();
  safetensors::save(source_, test::numbered(1));
  std::uint64_t tensors = 0;
  options.progress = [&](std::uint64_t) {
    if (++tensors == 9) throw CheckpointError("stopped", "");
  };
  EXPECT_EQ(message_of<CheckpointError>([&] { import_safetensors(source_, made_, options); }), "stopped");
  EXPECT_THAT(names_in(run_), ElementsAre(".lock"));
  // A BOOL of 2 is met when everything else is written.
  safetensors::save(source_, {{"mask", tensor<bool>({true, false}, {2})}});
  auto bytes = test::read_file(source_);
  bytes.back() = 2;
  test::write_file(source_, bytes);
  EXPECT_THAT(message_of<CheckpointError>([&] { import_safetensors(source_, made_, importing()); }),
              HasSubstr("BOOL"));
  EXPECT_THAT(names_in(run_), ElementsAre(".lock"));
}

TEST_F(EncryptedImport, RefusesWhatCouldNotBeOpened) {
  safetensors::save(source_, test::numbered(1));
  EXPECT_THAT([&] { import_safetensors(source_, directory_ / "weights", importing()); },
              ThrowsMessage<ConfigError>(HasSubstr("it has to be named step-0000000000, not weights")));
  EXPECT_THAT([&] { import_safetensors(source_, made_, {.encrypt = Encryption{}}); },
              ThrowsMessage<ConfigError>(HasSubstr("recipient")));
  EXPECT_FALSE(fs::exists(made_));
}

TEST_F(EncryptedImport, PlaintextIsNotPutIntoAnEncryptedRun) {
  import(test::numbered(1));
  EXPECT_THAT(message_of<CheckpointError>(
                  [&] { import_safetensors(source_, run_ + "/step-0000000009", {.steps = 9}); }),
              AllOf(HasSubstr("in plaintext"), HasSubstr("step-0000000000 of this run is encrypted")));
  EXPECT_THAT(names_in(run_), ElementsAre(".lock", "step-0000000000"));
}

}  // namespace
}  // namespace tutti
