// What manifest.json says, and what it may not.
#include "checkpoint/manifest.h"

#include <gmock/gmock.h>

#include "checkpoint/checksum.h"
#include "tutti/core/error.h"

namespace tutti::checkpoint {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

ManifestFile a_file(const std::string& name, const std::string& prefix = "") {
  return {name, prefix, 8192, 4096, std::string(32, 'a')};
}

Manifest a_manifest() {
  return {.uuid = std::string(32, 'b'),
          .steps = 100,
          .world_size = 2,
          .logical_ranks = 4,
          .tutti_version = "1.2.3",
          .files = {a_file("shard-00000-of-00002.safetensors"), a_file("shard-00001-of-00002.safetensors")},
          .tensors = {{"model.größe \"\\\n", DType::f32, {3, 8}, -1, {.offset = 64, .share = 128}},
                      {"data.none", DType::bf16, {0, 7}, -1, {.offset = 0, .share = 64}},
                      {"data.position", DType::i64, {}, -1, {.offset = 128, .share = 128}}}};
}

// `text` with its digest made anew.
std::string sealed(std::string text) {
  text.resize(text.rfind(",\n\"digest\""));
  return text + ",\n\"digest\":\"" + digest(text) + "\"}\n";
}

std::string replaced(std::string text, std::string_view what, std::string_view with) {
  const auto at = text.find(what);
  EXPECT_NE(at, text.npos) << what;
  return sealed(text.replace(at, what.size(), with));
}

TEST(ManifestTest, SaysWhatWasWritten) {
  const auto before = a_manifest();
  const auto text = text_of(before);
  const auto after = parse_manifest(text, "manifest.json");
  EXPECT_EQ(after.uuid, before.uuid);
  EXPECT_EQ(after.steps, 100);
  EXPECT_EQ(after.world_size, 2);
  EXPECT_EQ(after.logical_ranks, 4);
  EXPECT_EQ(after.tutti_version, "1.2.3");
  ASSERT_EQ(after.files.size(), 2u);
  EXPECT_EQ(after.files[1].name, "shard-00001-of-00002.safetensors");
  EXPECT_EQ(after.files[1].head_digest, std::string(32, 'a'));
  ASSERT_EQ(after.tensors.size(), 3u);
  EXPECT_EQ(after.tensors[0].name, "model.größe \"\\\n");
  EXPECT_EQ(after.tensors[0].shape, (Shape{3, 8}));
  EXPECT_EQ(after.tensors[0].sharding, before.tensors[0].sharding);
  EXPECT_EQ(after.tensors[1].dtype, DType::bf16);
  EXPECT_EQ(after.tensors[2].shape, Shape{});
  EXPECT_EQ(text_of(after), text);
  EXPECT_EQ(digest_of(text).size(), 32u);
}

TEST(ManifestTest, CutsTensorsWhereTheSharesEnd) {
  const auto manifest = a_manifest();
  using Range = Sharding::Range;
  EXPECT_EQ(manifest.piece(manifest.tensors[0], 0), (Range{0, 64}));
  EXPECT_EQ(manifest.piece(manifest.tensors[0], 1), (Range{64, 96}));
  EXPECT_EQ(manifest.piece(manifest.tensors[1], 0), (Range{0, 0}))
      << "one without elements is there all the same";
  EXPECT_EQ(manifest.piece(manifest.tensors[1], 1), std::nullopt);
  EXPECT_EQ(manifest.piece(manifest.tensors[2], 0), std::nullopt);
  EXPECT_EQ(manifest.piece(manifest.tensors[2], 1), (Range{0, 8}));
}

TEST(ManifestTest, AChangedOrCutOneIsDamaged) {
  const auto text = text_of(a_manifest());
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto changed = text;
    changed[i] ^= 1;
    EXPECT_THROW(parse_manifest(changed, "m"), CheckpointError) << i;
    EXPECT_THROW(parse_manifest(text.substr(0, i), "m"), CheckpointError) << i;
  }
  EXPECT_THAT([&] { parse_manifest("", "run/manifest.json"); },
              ThrowsMessage<CheckpointError>(HasSubstr("run/manifest.json: it does not end with a digest")));
  EXPECT_THAT([&] { parse_manifest(text + " ", "m"); }, ThrowsMessage<CheckpointError>(HasSubstr("digest")));
}

struct Refusal {
  const char *what, *with, *message;
};

class Refused : public testing::TestWithParam<Refusal> {};

TEST_P(Refused, IsNamed) {
  const auto& [what, with, message] = GetParam();
  const auto text = replaced(text_of(a_manifest()), what, with);
  EXPECT_THAT([&] { parse_manifest(text, "m"); }, ThrowsMessage<CheckpointError>(HasSubstr(message)));
}

INSTANTIATE_TEST_SUITE_P(
    ManifestTest, Refused,
    testing::Values(
        Refusal{"\"version\":1", "\"version\":2",
                "it has version 2 of the format, and this Tutti reads version 1"},
        Refusal{"\"features\":[]", "\"features\":[\"tiles\"]", "needs the feature \"tiles\""},
        Refusal{"tutti-checkpoint", "other", "it is no manifest"},
        Refusal{"\"steps\":100", "\"steps\":-1", "\"steps\" must be an integer from 0"},
        Refusal{"\"steps\":100", "\"steps\":1e2", "\"steps\" must be an integer from 0"},
        Refusal{"\"steps\":100", "\"steps\":18446744073709551615", "to 2^62, not 18446744073709551615"},
        Refusal{"\"steps\":100", "\"other\":100", "\"steps\" is missing"},
        Refusal{"\"steps\":100", "\"uuid\":\"\"", "duplicate key \"uuid\""},
        Refusal{"\"world_size\":2", "\"world_size\":0", "\"world_size\" must be an integer from 1"},
        Refusal{"shard-00001-of-00002.safetensors", "../x", "\"../x\" cannot be the name of a file"},
        Refusal{"shard-00001-of-00002.safetensors", "", "\"\" cannot be the name of a file"},
        Refusal{"shard-00001-of-00002.safetensors", ".lock", "\".lock\" cannot be the name of a file"},
        Refusal{"shard-00001-of-00002.safetensors", "manifest.json", "cannot be the name of a file"},
        Refusal{"shard-00001-of-00002.safetensors", "shard-00000-of-00002.safetensors", "is there twice"},
        Refusal{"\"head_bytes\":4096", "\"head_bytes\":9000", "is larger than the file"},
        Refusal{"data.position", "data.none", "\"data.none\" is there twice"},
        Refusal{"\"dtype\":\"I64\"", "\"dtype\":\"i64\"", "Tutti has no dtype \"i64\""},
        Refusal{"\"shape\":[3,8]", "\"shape\":[9223372036854775807,2]", "must be an integer from 0 to 2^62"},
        Refusal{"\"shape\":[3,8]", "\"shape\":[4294967296,4294967296]", "is larger than 2^62 bytes"},
        Refusal{"\"shape\":[3,8]", "\"shape\":[1,1,1,1,1,1,1,1,1]", "has 9 dimensions"},
        Refusal{"\"offset\":64,\"share\":128", "\"offset\":192,\"share\":128",
                "does not lie in 2 shares of 128 bytes"},
        Refusal{"\"offset\":64,\"share\":128", "\"offset\":66,\"share\":128", "is cut inside an element"},
        Refusal{"\"offset\":64,\"share\":128", "\"file\":2", "is in file 2 of 2"},
        Refusal{"\"offset\":64,\"share\":128", "\"offset\":64", "\"share\" is missing"}));

TEST(ManifestTest, ManyTensorsInManyFilesAreLittleText) {
  auto manifest = a_manifest();
  manifest.files.clear();
  manifest.tensors.clear();
  for (int f = 0; f < 1000; ++f) manifest.files.push_back(a_file(std::to_string(f)));
  for (int t = 0; t < 10'000; ++t)
    manifest.tensors.push_back(
        {std::to_string(t), DType::f32, {1000}, -1, {.offset = t * 4000, .share = 64'000}});
  const auto text = text_of(manifest);
  EXPECT_LT(text.size(), 2'000'000u);
  EXPECT_EQ(parse_manifest(text, "m").tensors.size(), 10'000u);
}

}  // namespace
}  // namespace tutti::checkpoint
