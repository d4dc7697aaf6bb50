// tutti-ckpt ls, show, verify and diff.
#include "tests/tools/ckpt_support.h"
#include "tutti/checkpoint/checkpoint.h"
#include "tutti/tensor/fingerprint.h"

namespace tutti::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

using CkptLs = Ckpt;
using CkptShow = Ckpt;
using CkptVerify = Ckpt;
using CkptDiff = Ckpt;

TEST_F(CkptLs, ListsCheckpointsNewestFirst) {
  save("run", 5);
  save("run", 20, model(), 2);
  const auto all = json("ls run")["checkpoints"];
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0]["path"], "run/" + step(20));
  EXPECT_EQ(all[0]["steps"], 20);
  EXPECT_EQ(all[0]["world_size"], 2);
  EXPECT_EQ(all[0]["damaged"], false);
  EXPECT_EQ(all[0]["encrypted"], false);
  EXPECT_EQ(all[1]["steps"], 5);
  EXPECT_EQ(all[1]["tensors"], 7);
  EXPECT_LT(all[1]["age_seconds"], 60 * TEST_SLOWDOWN);
  const auto folder = at("run/" + step(5));
  EXPECT_EQ(all[1]["bytes"], std::filesystem::file_size(folder + "/model.safetensors") +
                                 std::filesystem::file_size(folder + "/train.safetensors"));
  const auto text = ckpt("ls run");
  EXPECT_EQ(text.code, 0);
  EXPECT_THAT(text.out, MatchesRegex("steps +size +age +ranks +checkpoint\n"
                                     " *20 +5[0-9][0-9] kB +[0-9]+ s +2 +run/step-0000000020\n"
                                     " *5 +5[0-9][0-9] kB +[0-9]+ s +1 +run/step-0000000005\n"));
}

TEST_F(CkptLs, NamesWhatIsDamaged) {
  for (const auto steps : {1, 2, 3, 4}) save("run", steps);
  write_file(at("run/" + step(4) + "/manifest.json"), "{}");
  std::filesystem::remove(at("run/" + step(3) + "/train.safetensors"));
  std::filesystem::resize_file(at("run/" + step(2) + "/model.safetensors"), 100);
  const auto all = json("ls run", 1)["checkpoints"];
  EXPECT_THAT(all[0]["damage"], HasSubstr("manifest.json"));
  EXPECT_FALSE(all[0].contains("steps"));
  EXPECT_THAT(all[1]["damage"], HasSubstr("train.safetensors: No such file"));
  EXPECT_THAT(all[2]["damage"], HasSubstr("model.safetensors: it has 100 bytes"));
  EXPECT_EQ(all[3]["damaged"], false);
  const auto text = ckpt("ls run");
  EXPECT_EQ(text.code, 1);
  EXPECT_THAT(text.out, HasSubstr("run/step-0000000004  DAMAGED: "));
}

TEST_F(CkptShow, TellsAll) {
  save("run", 7, model(), 2);
  const auto shown = json("show run/" + step(7) + " --fingerprint");
  const Checkpoint checkpoint(at("run/" + step(7)));
  EXPECT_EQ(shown["steps"], 7);
  EXPECT_EQ(shown["world_size"], 2);
  EXPECT_EQ(shown["logical_ranks"], 2);
  EXPECT_EQ(shown["uuid"], checkpoint.uuid());
  EXPECT_EQ(shown["digest"], checkpoint.digest());
  EXPECT_EQ(shown["tutti"], checkpoint.tutti_version());
  EXPECT_EQ(shown["encrypted"], false);
  ASSERT_EQ(shown["files"].size(), 2u);
  EXPECT_EQ(shown["files"][1]["name"], "shard-00001-of-00002.safetensors");
  EXPECT_EQ(shown["files"][1]["bytes"],
            std::filesystem::file_size(at("run/" + step(7) + "/shard-00001-of-00002.safetensors")));
  ASSERT_EQ(shown["tensors"].size(), 7u);
  EXPECT_EQ(shown["tensors"][0],
            Json::parse(R"({"name": "model.wte.weight", "dtype": "f32", "shape": [1000, 64],
                                                 "bytes": 256000, "files": 1})"));
  EXPECT_EQ(shown["tensors"][3]["dtype"], "bf16");
  EXPECT_EQ(shown["tensors"][4]["shape"], Json::array());
  auto m = model();
  auto o = optimizer();
  EXPECT_EQ(shown["fingerprint"], tutti::fingerprint(TrainState{m, o}));
  const auto text = ckpt("show run/" + step(7));
  EXPECT_EQ(text.code, 0);
  EXPECT_THAT(text.out, HasSubstr("steps          7\n"));
  EXPECT_THAT(text.out, testing::ContainsRegex("model.wte.weight +f32 +\\[1000, 64\\] +256000 +1\n"));
  EXPECT_THAT(text.out, Not(HasSubstr("fingerprint")));
}

TEST_F(CkptVerify, SaysThatAllIsGood) {
  save("run", 1);
  save("run", 2, model(), 2);
  EXPECT_EQ(json("verify run/" + step(2))["checkpoints"].size(), 1u);
  const auto all = json("verify run")["checkpoints"];
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0]["path"], "run/" + step(2));
  EXPECT_EQ(all[0]["damage"], Json::array());
  const auto text = ckpt("verify run");
  EXPECT_EQ(text.code, 0);
  EXPECT_THAT(text.out,
              MatchesRegex("run/step-0000000002: good, 5.. kB\nrun/step-0000000001: good, 5.. kB\n"));
  EXPECT_EQ(text.err, "");  // no terminal, no progress
}

TEST_F(CkptVerify, NamesFileTensorAndOffset) {
  save("run", 1);
  save("run", 2);
  const auto file = "run/" + step(2) + "/model.safetensors";
  const safetensors::Reader reader(at(file));
  const auto& entry = reader.at("wte.weight");
  const auto head = reader.entries()[0].offset;  // chunks start where data do
  const auto chunk = std::stoull(reader.metadata().at("tutti.chunk_bytes"));
  const auto hit = entry.offset + 200'001;
  damage(file, hit);
  const auto all = json("verify run", 1)["checkpoints"];
  EXPECT_EQ(all[1]["damaged"], false);
  ASSERT_EQ(all[0]["damage"].size(), 1u);
  const auto place = all[0]["damage"][0];
  EXPECT_EQ(place["file"], "model.safetensors");
  EXPECT_EQ(place["tensor"], "wte.weight");
  EXPECT_EQ(place["offset"], head + (hit - head) / chunk * chunk);
  const auto checksums = reader.metadata().at("tutti.checksums");
  EXPECT_EQ(place["expected"], checksums.substr((hit - head) / chunk * 16, 16));
  EXPECT_THAT(place["found"].get<std::string>(), MatchesRegex("[0-9a-f]{16}"));
  EXPECT_NE(place["found"], place["expected"]);
  const auto text = ckpt("verify run");
  EXPECT_EQ(text.code, 1);
  EXPECT_THAT(text.out, HasSubstr(step(2) + ": DAMAGED\n"));
  EXPECT_THAT(text.out, HasSubstr(fmt::format("byte {}: ", place["offset"].get<std::uint64_t>())));
  EXPECT_THAT(text.out, HasSubstr(step(1) + ": good"));
}

TEST_F(CkptVerify, NamesEveryPlace) {
  save("run", 1);
  const auto folder = "run/" + step(1) + "/";
  const safetensors::Reader reader(at(folder + "model.safetensors"));
  const auto begin = reader.at("wte.weight").offset;
  damage(folder + "model.safetensors", begin + 100);
  damage(folder + "model.safetensors", begin + 100'000);
  damage(folder + "train.safetensors", 100);  // its header
  std::vector<std::string> files;
  const auto all = json("verify run", 1)["checkpoints"];
  for (const auto& place : all[0]["damage"])
    files.push_back(
        fmt::format("{} {}", place["file"].get<std::string>(), place["offset"].get<std::int64_t>()));
  const auto head = reader.entries()[0].offset;
  const auto chunk = std::stoull(reader.metadata().at("tutti.chunk_bytes"));
  const auto place = [&](std::uint64_t hit) {
    return fmt::format("model.safetensors {}", head + (hit - head) / chunk * chunk);
  };
  EXPECT_THAT(files, ElementsAre(place(begin + 100), place(begin + 100'000), "train.safetensors 0"));
}

TEST_F(CkptVerify, NamesABrokenManifestAndAMissingFile) {
  save("run", 1);
  save("run", 2);
  damage("run/" + step(2) + "/manifest.json", 50);
  std::filesystem::remove(at("run/" + step(1) + "/train.safetensors"));
  const auto all = json("verify run", 1)["checkpoints"];
  EXPECT_EQ(all[0]["damage"][0]["file"], "manifest.json");
  EXPECT_EQ(all[1]["damage"][0]["file"], "train.safetensors");
  EXPECT_THAT(all[1]["damage"][0]["message"], HasSubstr("No such file"));
  std::filesystem::remove(at("run/" + step(2) + "/manifest.json"));
  EXPECT_EQ(ckpt("verify run/" + step(2)).code, 1);
}

TEST_F(CkptDiff, FindsNoneBetweenWorldsOfOneState) {
  save("a", 1);
  save("b", 2, model(), 2);
  EXPECT_EQ(json("diff a/" + step(1) + " b/" + step(2))["equal"], true);
  const auto text = ckpt("diff a/" + step(1) + " b/" + step(2));
  EXPECT_EQ(text.code, 0);
  EXPECT_EQ(text.out, "equal: 7 tensors\n");
}

TEST_F(CkptDiff, TellsValuesApart) {
  save("a", 1);
  auto other = model();
  auto* const weights = static_cast<float*>(other.tensors[0].tensor.raw_data());
  weights[130] += 2;
  weights[63'999] -= 0.5f;
  static_cast<double*>(other.tensors[1].tensor.raw_data())[1] = std::nan("");
  *static_cast<std::int64_t*>(other.tensors[4].tensor.raw_data()) = 10;
  save("b", 1, other);
  const auto result = json("diff a/" + step(1) + " b/" + step(1), 1);
  EXPECT_EQ(result["equal"], false);
  EXPECT_EQ(result["only_in_a"], Json::array());
  EXPECT_EQ(result["values"], Json::parse(R"([
    {"name": "model.wte.weight", "differing": 2, "of": 64000, "max_abs": 2, "first": [2, 2], "a": 130, "b": 132},
    {"name": "model.fc.bias", "differing": 1, "of": 3, "max_abs": null, "first": [1], "a": -2, "b": null},
    {"name": "model.scale", "differing": 1, "of": 1, "max_abs": 3, "first": [], "a": 7, "b": 10}])"));
  const auto text = ckpt("diff a/" + step(1) + " b/" + step(1));
  EXPECT_EQ(text.code, 1);
  EXPECT_THAT(text.out,
              HasSubstr("model.wte.weight: 2 of 64000 values differ, by 2 at most; the first at [2, 2], "
                        "130 in A, 132 in B\n"));
  EXPECT_EQ(ckpt("diff --parts optimizer a/" + step(1) + " b/" + step(1)).code, 0);
}

TEST_F(CkptDiff, TellsNamesAndTypesApart) {
  save("a", 1);
  auto other = model();
  other.tensors[0].tensor = zeros({1000, 63});
  other.tensors[1].tensor = zeros({3});
  other.tensors[2].name = "veil";
  save("b", 1, other);
  const auto result = json("diff a/" + step(1) + " b/" + step(1), 1);
  EXPECT_EQ(result["only_in_a"], Json::array({"model.mask"}));
  EXPECT_EQ(result["only_in_b"], Json::array({"model.veil"}));
  EXPECT_EQ(result["values"], Json::array());
  EXPECT_EQ(result["dtype_or_shape"], Json::parse(R"([
    {"name": "model.wte.weight", "a": {"dtype": "f32", "shape": [1000, 64]}, "b": {"dtype": "f32", "shape": [1000, 63]}},
    {"name": "model.fc.bias", "a": {"dtype": "f64", "shape": [3]}, "b": {"dtype": "f32", "shape": [3]}}])"));
  const auto text = ckpt("diff a/" + step(1) + " b/" + step(1));
  EXPECT_THAT(text.out, HasSubstr("only in B: model.veil bool [2]\n"));
  EXPECT_THAT(text.out, HasSubstr("model.fc.bias: f64 [3] in A, f32 [3] in B\n"));
}

}  // namespace
}  // namespace tutti::test
