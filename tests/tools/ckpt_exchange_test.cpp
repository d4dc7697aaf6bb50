// tutti-ckpt export and import.
#include "tests/tools/ckpt_support.h"
#include "tutti/checkpoint/checkpoint.h"
#include "tutti/tensor/fingerprint.h"

namespace tutti::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CkptExport : public Ckpt {
 protected:
  void SetUp() override {
    save("run", 3, model(), 2);
    checkpoint_ = "run/" + step(3);
  }
  std::string checkpoint_;
};

// One with a run to import into.
using CkptImport = CkptExport;

std::vector<std::string> names_in(const std::string& path) {
  std::vector<std::string> names;
  const safetensors::Reader reader(path);
  for (const auto& entry : reader.entries()) names.push_back(entry.name);
  std::ranges::sort(names);
  return names;
}

TEST_F(CkptExport, WritesTheFileThatSaveWouldHaveWritten) {
  const auto result = json("export " + checkpoint_ + " exported");
  EXPECT_EQ(result["files"], Json::array({"exported/model.safetensors"}));
  EXPECT_EQ(result["tensors"], 6);
  EXPECT_EQ(result["bytes"], 256'000 + 24 + 2 + 4 + 8);
  EXPECT_THAT(names("exported"), ElementsAre("model.safetensors"));
  safetensors::save(at("expected.safetensors"), model().tensors, {{"format", "pt"}});
  EXPECT_TRUE(read_file(at("exported/model.safetensors")) == read_file(at("expected.safetensors")));
  EXPECT_EQ(ckpt("export " + checkpoint_ + " other/name.safetensors").code, 0);
  EXPECT_TRUE(read_file(at("other/name.safetensors")) == read_file(at("expected.safetensors")));
}

TEST_F(CkptExport, LeavesOutOrInWhatIsAskedFor) {
  EXPECT_EQ(ckpt("export " + checkpoint_ + " a --parts optimizer").out,
            "a/optimizer.safetensors\n1 tensors, 256 kB\n");
  EXPECT_THAT(names_in(at("a/optimizer.safetensors")), ElementsAre("exp_avg.wte.weight"));
  EXPECT_EQ(ckpt("export " + checkpoint_ + " b --parts all").code, 0);
  EXPECT_THAT(names_in(at("b/state.safetensors")),
              ElementsAre("model.fc.bias", "model.half", "model.mask", "model.none", "model.scale",
                          "model.wte.weight", "optimizer.exp_avg.wte.weight"));
}

TEST_F(CkptExport, SplitsAsHuggingFaceDoes) {
  const auto result = json("export " + checkpoint_ + " sharded --max-shard-size 100kB");
  EXPECT_THAT(names("sharded"),
              ElementsAre("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                          "model.safetensors.index.json"));
  EXPECT_EQ(result["files"].size(), 3u);
  EXPECT_THAT(names_in(at("sharded/model-00001-of-00002.safetensors")),
              ElementsAre("wte.weight"));  // too large
  const auto index = Json::parse(read_file(at("sharded/model.safetensors.index.json")));
  EXPECT_EQ(index["metadata"]["total_size"], result["bytes"]);
  EXPECT_EQ(index["weight_map"].size(), 6u);
  EXPECT_EQ(index["weight_map"]["wte.weight"], "model-00001-of-00002.safetensors");
  EXPECT_EQ(index["weight_map"]["none"], "model-00002-of-00002.safetensors");
  // What fits into one file needs no index.
  EXPECT_EQ(ckpt("export " + checkpoint_ + " whole --max-shard-size 5GB").code, 0);
  EXPECT_THAT(names("whole"), ElementsAre("model.safetensors"));
}

TEST_F(CkptExport, ReplacesNothing) {
  std::filesystem::create_directory(at("there"));
  write_file(at("there/config.json"), "{}");
  write_file(at("there/model.safetensors.index.json"), "old");
  for (const auto* to : {"there", "there/model.safetensors.index.json/../x.safetensors"}) {
    const auto result = ckpt("export " + checkpoint_ + " " + to);
    EXPECT_EQ(result.code, 3) << to;
  }
  EXPECT_THAT(names("there"), ElementsAre("config.json", "model.safetensors.index.json"));
  std::filesystem::remove(at("there/model.safetensors.index.json"));
  EXPECT_EQ(ckpt("export " + checkpoint_ + " there").code, 0);
  EXPECT_THAT(names("there"), ElementsAre("config.json", "model.safetensors"));
  const auto before = read_file(at("there/model.safetensors"));
  EXPECT_THAT(ckpt("export " + checkpoint_ + " there/model.safetensors --parts optimizer").err,
              HasSubstr("there already"));
  EXPECT_TRUE(read_file(at("there/model.safetensors")) == before);
}

TEST_F(CkptExport, LeavesNothingBehindWhereItFails) {
  const auto file = checkpoint_ + "/shard-00001-of-00002.safetensors";
  damage(file, std::filesystem::file_size(at(file)) - 1);
  const auto result = ckpt("export " + checkpoint_ + " out/deep --parts all --max-shard-size 100kB");
  EXPECT_EQ(result.code, 3);
  EXPECT_THAT(result.err, HasSubstr("damaged"));
  EXPECT_EQ(result.out, "");
  EXPECT_FALSE(std::filesystem::exists(at("out/deep")));
  std::filesystem::create_directory(at("there"));
  EXPECT_EQ(ckpt("export " + checkpoint_ + " there --parts all --max-shard-size 100kB").code, 3);
  EXPECT_THAT(names("there"), ElementsAre());
}

// A file that cannot grow is like a disk that is full.
TEST_F(CkptExport, LeavesNothingBehindOnAFullDisk) {
  ASSERT_EQ(ckpt("export " + checkpoint_ + " a.safetensors").code, 0);
  const auto limited = [&](const std::string& arguments) {
    return shell(fmt::format("trap '' XFSZ; ulimit -f 100; cd {} && {} {}", directory_.path().string(),
                             TUTTI_CKPT, arguments));
  };
  for (const auto& arguments : {"export " + checkpoint_ + " b.safetensors", "export " + checkpoint_ + " out",
                                std::string("import a.safetensors run/" + step(9))}) {
    const auto result = limited(arguments);
    EXPECT_EQ(result.code, 3) << arguments;
    EXPECT_THAT(result.err, HasSubstr("File too large")) << arguments;
  }
  EXPECT_THAT(names("."), ElementsAre("a.safetensors", "run"));
  EXPECT_THAT(names("run"), ElementsAre(".lock", step(3)));
}

TEST_F(CkptExport, PythonLoadsWhatItWrites) {
  if (std::system(TUTTI_PYTHON " -c 'import numpy, safetensors' 2>/dev/null") != 0)
    GTEST_SKIP() << TUTTI_PYTHON
        " has no packages numpy and safetensors; -DTUTTI_PYTHON=... names one that has";
  ASSERT_EQ(ckpt("export " + checkpoint_ + " exported").code, 0);
  ASSERT_EQ(ckpt("export " + checkpoint_ + " sharded --max-shard-size 30").code, 0);
  const auto result = shell(fmt::format("{} {}/ckpt_read.py {} {}", TUTTI_PYTHON, TUTTI_TEST_SOURCES,
                                        at("exported"), at("sharded")));
  EXPECT_EQ(result.code, 0) << result.err;
}

TEST_F(CkptImport, GivesBackTheBytesThatWereExported) {
  ASSERT_EQ(ckpt("export " + checkpoint_ + " a.safetensors").code, 0);
  const auto result = json("import a.safetensors imported");
  EXPECT_EQ(result["tensors"], 6);
  EXPECT_EQ(result["steps"], 0);
  EXPECT_EQ(ckpt("verify imported").code, 0);
  EXPECT_EQ(ckpt("diff --parts model imported " + checkpoint_).out, "equal: 6 tensors\n");
  ASSERT_EQ(ckpt("export imported b.safetensors").code, 0);
  EXPECT_TRUE(read_file(at("a.safetensors")) == read_file(at("b.safetensors")));
}

TEST_F(CkptImport, TakesAnIndexAndAllParts) {
  ASSERT_EQ(ckpt("export " + checkpoint_ + " sharded --parts all --max-shard-size 30").code, 0);
  ASSERT_GT(names("sharded").size(), 3u);
  ASSERT_EQ(ckpt("import --part all sharded/state.safetensors.index.json imported").code, 0);
  EXPECT_EQ(ckpt("verify imported").code, 0);
  EXPECT_EQ(ckpt("diff imported " + checkpoint_).out, "equal: 7 tensors\n");
}

TEST_F(CkptImport, MakesWhatACheckpointerGoesOnFrom) {
  ASSERT_EQ(ckpt("export " + checkpoint_ + " a.safetensors").code, 0);
  ASSERT_EQ(ckpt("import a.safetensors new/" + step(70) + " --logical-ranks 2").code, 0);
  on_ranks(2, [&](Communicator& world) {
    Tensors read = model();
    for (auto& [name, tensor] : read.tensors) tensor.fill_(0);
    Checkpointer checkpointer(at("new"), world);
    EXPECT_EQ(checkpointer.restore(TrainState{read}), 70);
    EXPECT_EQ(fingerprint(read.tensors), fingerprint(model().tensors));
  });
  Tensors read = model();
  for (auto& [name, tensor] : read.tensors) tensor.fill_(0);
  ASSERT_EQ(ckpt("import a.safetensors weights/").code, 0);
  EXPECT_EQ(checkpoint::load(TrainState{read}, at("weights")), 0);
  EXPECT_EQ(fingerprint(read.tensors), fingerprint(model().tensors));
}

TEST_F(CkptImport, RefusesWhatItCannotTake) {
  ASSERT_EQ(ckpt("export " + checkpoint_ + " sharded --max-shard-size 100kB").code, 0);
  const auto index = at("sharded/model.safetensors.index.json");
  const auto good = Json::parse(read_file(index));
  const auto refusal = [&](const std::string& key, const Json& file) {
    auto changed = good;
    if (file.is_null()) {
      changed["weight_map"].erase(key);
    } else {
      changed["weight_map"][key] = file;
    }
    write_file(index, changed.dump());
    const auto result = ckpt("import sharded/model.safetensors.index.json imported");
    EXPECT_EQ(result.code, 3);
    EXPECT_FALSE(std::filesystem::exists(at("imported")));
    return result.err;
  };
  EXPECT_THAT(refusal("half", "../a.safetensors"), HasSubstr("tensor \"half\" cannot be in a file named"));
  EXPECT_THAT(refusal("half", 1), HasSubstr("must be a string"));
  EXPECT_THAT(refusal("half", "gone.safetensors"), HasSubstr("gone.safetensors: No such file"));
  EXPECT_THAT(refusal("half", "model-00001-of-00002.safetensors"), HasSubstr("no tensor \"half\""));
  EXPECT_THAT(refusal("half", nullptr), HasSubstr("does not tell of tensor \"half\""));
  EXPECT_THAT(refusal("ghost", "model-00001-of-00002.safetensors"), HasSubstr("no tensor \"ghost\""));
  write_file(index, R"({"weight_map": []})");
  EXPECT_EQ(ckpt("import sharded/model.safetensors.index.json imported").code, 3);
  write_file(at("cut.safetensors"),
             read_file(at("sharded/model-00001-of-00002.safetensors")).substr(0, 200'000));
  EXPECT_EQ(ckpt("import cut.safetensors imported").code, 3);
  const std::string header = R"({"x":{"dtype":"I8","shape":[2],"data_offsets":[0,2]}}   )";
  write_file(at("i8.safetensors"),
             std::string(1, char(header.size())) + std::string(7, '\0') + header + "ab");
  EXPECT_THAT(ckpt("import i8.safetensors imported").err, HasSubstr("Tutti has no dtype I8"));
  EXPECT_THAT(names("."), ElementsAre("cut.safetensors", "i8.safetensors", "run", "sharded"));
}

TEST_F(CkptImport, ReplacesNothingAndLeavesNothingBehind) {
  ASSERT_EQ(ckpt("export " + checkpoint_ + " a.safetensors").code, 0);
  EXPECT_THAT(ckpt("import a.safetensors " + checkpoint_).err, HasSubstr("there already"));
  // A BOOL of 2 is met when everything else is written.
  auto bytes = read_file(at("a.safetensors"));
  bytes.back() = 2;
  write_file(at("a.safetensors"), bytes);
  EXPECT_THAT(ckpt("import a.safetensors run/" + step(9)).err, HasSubstr("BOOL"));
  EXPECT_THAT(names("run"), ElementsAre(".lock", step(3)));
}

}  // namespace
}  // namespace tutti::test
