// Faults 27 to 47 of docs/checkpoint-faults.md: sets of files that are not what their manifest says, and manifests that are
// not what they should be. The checkpoint before is loaded, and it is told why.
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "checkpoint/manifest.h"
#include "tests/checkpoint/fault_run.h"
#include "tests/support/message_of.h"

namespace tutti {
namespace {

namespace fs = std::filesystem;
using checkpoint::Manifest;
using test::message_of;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr auto overwrite = fs::copy_options::overwrite_existing;

class FaultManifest : public test::FaultRun {
 protected:
  void SetUp() override {
    FaultRun::SetUp();
    save(100);
    save(200);
  }
};

TEST_F(FaultManifest, Fault27_AFileIsMissing) {
  for (const auto* name : {shard_0, shard_1, manifest}) {
    fs::rename(in(200, name), directory_ / "aside");
    EXPECT_THAT(reason(), AllOf(HasSubstr(in(200, name)), HasSubstr("No such file or directory")));
    fs::rename(directory_ / "aside", in(200, name));
  }
  EXPECT_EQ(reason(), "");
}

TEST_F(FaultManifest, Fault28_AStrayShardIsNotRead) {
  fs::copy_file(in(100, shard_1), in(200, "shard-00002-of-00003.safetensors"));
  test::write_file(in(200, "model.safetensors"), "garbage");
  EXPECT_EQ(restore().steps, 200);
  EXPECT_EQ(reason(), "");
}

TEST_F(FaultManifest, Fault29_AShardOfAnotherStep) {
  fs::copy_file(in(100, shard_1), in(200, shard_1), overwrite);
  EXPECT_THAT(reason(), AllOf(HasSubstr(in(200, shard_1)), HasSubstr("another checkpoint's")));
}

// Even where somebody made the manifest fit it.
TEST_F(FaultManifest, Fault29_AShardOfAnotherStepWithItsDigest) {
  const auto digest_in = [&](int steps) {
    const auto text = test::read_file(in(steps, manifest));
    return text.substr(text.rfind("\"head_digest\":\"") + 15, 32);
  };
  fs::copy_file(in(100, shard_1), in(200, shard_1), overwrite);
  change_manifest(digest_in(200), digest_in(100));
  EXPECT_THAT(reason(), AllOf(HasSubstr(in(200, shard_1)), HasSubstr("and not " + std::string(shard_1))));
}

TEST_F(FaultManifest, Fault30_TwoShardsAreSwapped) {
  fs::rename(in(200, shard_0), directory_ / "aside");
  fs::rename(in(200, shard_1), in(200, shard_0));
  fs::rename(directory_ / "aside", in(200, shard_1));
  EXPECT_THAT(reason(), HasSubstr(in(200, shard_0)));
}

TEST_F(FaultManifest, Fault31_TheSameShardTwice) {
  fs::copy_file(in(200, shard_0), in(200, shard_1), overwrite);
  EXPECT_THAT(reason(), HasSubstr(in(200, shard_1)));
  change_manifest(shard_1, shard_0);
  EXPECT_THAT(reason(), HasSubstr(std::string("\"") + shard_0 + "\" is there twice"));
}

// A piece is found by division, so that there is nothing to contradict: whatever numbers a manifest has, if they are taken,
// each byte is in one file.
TEST(FaultManifestPieces, Fault32_33_TileEveryTensorWhateverTheManifestSays) {
  std::mt19937_64 random(1);
  int taken = 0;
  for (int round = 0; round < 10'000; ++round) {
    const auto number = [&](std::int64_t below) {
      return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(below));
    };
    Manifest written;
    written.uuid = std::string(32, 'b');
    const auto files = 1 + number(5);
    for (std::int64_t f = 0; f < files; ++f)
      written.files.push_back({"f" + std::to_string(f), "", 8192, 4096, std::string(32, 'a')});
    written.tensors.push_back({"t", DType::f32, {number(40)}, -1, {4 * number(100), 4 * (1 + number(30))}});
    Manifest read;
    try {
      read = checkpoint::parse_manifest(text_of(written), "m");
    } catch (const CheckpointError&) {
      continue;
    }
    ++taken;
    std::int64_t end = 0, places = 0;
    for (std::size_t f = 0; f < read.files.size(); ++f) {
      const auto piece = read.piece(read.tensors[0], f);
      if (!piece) continue;
      ++places;
      ASSERT_EQ(piece->begin, end) << "a hole, or an overlap";
      end = piece->end;
    }
    ASSERT_EQ(end, read.tensors[0].bytes()) << text_of(written);
    ASSERT_GE(places, 1);
  }
  EXPECT_GT(taken, 2'500);
}

TEST_F(FaultManifest, Fault34_APieceOutsideOfTheShares) {
  const auto text = test::read_file(in(200, manifest));
  const auto begin = text.find("\"share\":");
  change_manifest(text.substr(begin, text.find('}', begin) - begin), "\"share\":4");
  EXPECT_THAT(reason(), HasSubstr("does not lie in 2 shares of 4 bytes"));
}

TEST_F(FaultManifest, Fault34_APieceOfAnotherSizeThanItsFileHas) {
  change_manifest("\"shape\":[4,3]", "\"shape\":[2,3]");
  EXPECT_THAT(message_of<CheckpointError>([&] { Checkpoint(in(200)).load(); }),
              AllOf(HasSubstr(shard_0), HasSubstr("in the manifest")));
}

// Also where there are more ranks than elements.
TEST_F(FaultManifest, Fault35_AnotherWorldSize) {
  const int worlds[] = {1, 2, 3, 5, 8};
  std::int64_t steps = 300;
  for (const int from : worlds) {
    save(steps, -1, from);
    for (const int to : worlds) EXPECT_EQ(restore(to).steps, steps) << from << " to " << to;
    steps += 100;
  }
}

TEST_F(FaultManifest, Fault36_AnotherShapeOrDtypeThanTheState) {
  Communicator world;
  world.set_logical_ranks(8);
  auto optimizer = test::an_optimizer();
  for (auto [tensor, says] :
       {std::pair{zeros({4, 4}), "model.fc.weight is [4, 4], the state has [4, 3]"},
        std::pair{zeros({4, 3}, {.dtype = DType::bf16}), "model.fc.weight is bf16, the state has f32"}}) {
    test::Part model("model", {{"fc.weight", tensor}, {"fc.bias", zeros({4}, {.dtype = DType::f64})}});
    model.fill(7);
    EXPECT_THAT(message_of<CheckpointError>([&] {
                  Checkpointer(run_, world).restore(TrainState{model, optimizer});
                }),
                AllOf(HasSubstr(in(200)), HasSubstr(says)))
        << "and not passed over: the older ones do not fit either";
    EXPECT_TRUE(model.holds(7));
  }
}

TEST_F(FaultManifest, Fault37_TensorsThatAreMissingOrInSurplus) {
  Communicator world;
  world.set_logical_ranks(8);
  test::Part model("model", {{"fc.weight", zeros({4, 3})}, {"head", zeros({2})}});
  auto optimizer = test::an_optimizer();
  EXPECT_THAT(message_of<CheckpointError>([&] {
                Checkpointer(run_, world).restore(TrainState{model, optimizer});
              }),
              AllOf(HasSubstr("missing: model.head"), HasSubstr("unexpected: model.fc.bias")));
}

TEST_F(FaultManifest, Fault38_NamesThatLeadElsewhere) {
  const auto good = test::read_file(in(200, manifest));
  fs::copy_file(in(200, shard_1), directory_ / "outside");
  for (const auto& name :
       {directory_ / "outside", std::string("../../outside"), std::string("a/b"), std::string(),
        std::string("."), std::string(".."), std::string("a\\u0000b"), std::string(300, 'x'),
        std::string("-\\n"), std::string("con:"), std::string("f\\u00fc"), std::string(manifest)}) {
    change_manifest(std::string("\"name\":\"") + shard_1, "\"name\":\"" + name);
    EXPECT_THAT(reason(), HasSubstr("cannot be the name of a file")) << name;
    test::write_file(in(200, manifest), good);
  }
}

TEST_F(FaultManifest, Fault39_AFileThatIsNoRegularOne) {
  for (const auto* name : {shard_1, manifest}) {
    const auto path = in(200, name), aside = directory_ / "aside";
    fs::rename(path, aside);

    fs::create_symlink(aside, path);
    EXPECT_THAT(reason(), AllOf(HasSubstr(path), HasSubstr("symbolic links")));
    fs::remove(path);

    ASSERT_EQ(::mkfifo(path.c_str(), 0666), 0);
    EXPECT_THAT(reason(), HasSubstr(path + " is no regular file"));
    fs::remove(path);

    fs::create_directory(path);
    EXPECT_THAT(reason(), HasSubstr(path + " is no regular file"));
    fs::remove(path);

    const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{AF_UNIX, {}};
    const auto short_name = directory_ / "s";
    short_name.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    fs::rename(short_name, path);
    EXPECT_THAT(reason(), HasSubstr(path));
    ::close(socket);
    fs::remove(path);

    if (::mknod(path.c_str(), S_IFCHR | 0666, makedev(1, 5)) == 0) {  // /dev/zero, for root
      EXPECT_THAT(reason(), HasSubstr(path));
      fs::remove(path);
    }
    fs::rename(aside, path);
  }
  EXPECT_EQ(reason(), "");
}

TEST_F(FaultManifest, Fault40_ACheckpointThatIsALinkIsNoneOfTheRun) {
  fs::rename(in(200), directory_ / "elsewhere");
  fs::create_directory_symlink(directory_ / "elsewhere", in(200));
  const auto restored = restore();
  EXPECT_EQ(restored.steps, 100);
  EXPECT_THAT(restored.passed_over, IsEmpty());
  EXPECT_EQ(Checkpoint(in(200)).steps(), 200) << "it may be opened by its name";
}

TEST_F(FaultManifest, Fault40_ADirectoryThatIsSwappedWhileItIsRead) {
  const Checkpoint open(in(200));
  fs::rename(in(200), directory_ / "aside");
  fs::rename(in(100), in(200));
  for (const auto& [name, tensor] : open.load())
    EXPECT_EQ(tensor.to(DType::f64).to_vector<double>()[0], 200) << name;
}

TEST_F(FaultManifest, Fault41_AFileThatChangesWhileItIsOpen) {
  const Checkpoint cut(in(200)), changed(in(100));
  cut.load();
  changed.load();
  for (const auto* name : {shard_0, shard_1}) {
    fs::resize_file(in(200, name), 4096);
    flip(in(100, name), fs::file_size(in(100, name)) - 1);
  }
  EXPECT_THAT(message_of<CheckpointError>([&] { cut.load(); }), HasSubstr("the file ends here"));
  EXPECT_THAT(message_of<CheckpointError>([&] { changed.load(); }), HasSubstr("damaged"));
}

TEST_F(FaultManifest, Fault42_HardLinkedShardsStayAsTheyWere) {
  const auto link = directory_ / "link";
  fs::create_hard_link(in(200, shard_0), link);
  const auto before = test::read_file(link);
  EXPECT_EQ(reason(), "");
  save(200, 7);  // in its place
  EXPECT_EQ(restore(1, 7).steps, 200);
  EXPECT_TRUE(test::read_file(link) == before) << "nothing is written in place";
}

// There is no pointer to the newest: what is there counts, by its number.
TEST_F(FaultManifest, Fault43_NothingPointsToTheNewest) {
  test::write_file(run_ + "/LATEST", "step-0000000100");
  test::write_file(run_ + "/latest", "/etc/passwd");
  fs::create_symlink("nowhere", run_ + "/step-0000000300");
  fs::create_directory(run_ + "/step-400");
  fs::create_directory(run_ + "/step-99999999999999999999");
  test::write_file(run_ + "/step-0000000500", "");
  EXPECT_EQ(restore().steps, 200);
}

TEST_F(FaultManifest, Fault44_AManifestOfAnotherVersion) {
  change_manifest("\"version\":1", "\"version\":7");
  EXPECT_THAT(
      reason(),
      HasSubstr("it has version 7 of the format, and this Tutti reads version 1: use the Tutti that"));
  change_manifest("\"version\":7", "\"version\":0");
  EXPECT_THAT(reason(), HasSubstr("\"version\" must be an integer from 1"));
}

TEST_F(FaultManifest, Fault44_WhatALaterVersionAddsIsReadOver) {
  change_manifest("\"features\":[]", "\"features\":[],\"later\":{\"a\":[1]}");
  EXPECT_EQ(reason(), "");
}

TEST_F(FaultManifest, Fault45_AManifestThatIsEmptyOrCut) {
  const auto text = test::read_file(in(200, manifest));
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, text.size() / 2, text.size() - 1}) {
    test::write_file(in(200, manifest), text.substr(0, bytes));
    EXPECT_THAT(reason(), HasSubstr("it does not end with a digest")) << bytes;
  }
  test::write_file(in(200, manifest), std::string(text.size(), '\0'));
  EXPECT_THAT(reason(), HasSubstr("it does not end with a digest"));
}

TEST_F(FaultManifest, Fault46_AFeatureThatIsNotKnown) {
  change_manifest("\"features\":[]", "\"features\":[\"compressed\"]");
  EXPECT_THAT(reason(), HasSubstr("it needs the feature \"compressed\""));
}

TEST_F(FaultManifest, Fault47_AllAreDamaged) {
  test::write_file(in(100, manifest), "");
  fs::remove(in(200, shard_1));
  EXPECT_THAT(message_of<CheckpointError>([&] { restore(); }),
              AllOf(HasSubstr("every checkpoint in " + run_ + " is damaged"), HasSubstr(in(200, shard_1)),
                    HasSubstr(in(100, manifest))));
}

}  // namespace
}  // namespace tutti
