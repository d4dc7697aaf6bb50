// tutti-ckpt prune.
#include "tests/tools/ckpt_support.h"
#include "tutti/checkpoint/checkpoint.h"

namespace tutti::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CkptPrune : public Ckpt {
 protected:
  void SetUp() override {
    for (const auto steps : {10, 20, 25, 30}) save("run", steps);
  }
  static Json paths(std::initializer_list<int> all) {
    auto paths = Json::array();
    for (const auto steps : all) paths.push_back("run/" + step(steps));
    return paths;
  }
};

TEST_F(CkptPrune, KeepsTheNewestAndThoseOfSomeSteps) {
  const auto result = json("prune run --keep 1 --keep-every 20");
  EXPECT_EQ(result["kept"], paths({30, 20}));
  EXPECT_EQ(result["removed"], paths({25, 10}));
  EXPECT_THAT(names("run"), ElementsAre(".lock", step(20), step(30)));
  const auto text = ckpt("prune run --keep 1");
  EXPECT_EQ(text.code, 0);
  EXPECT_EQ(text.out, fmt::format("{:<20} run/{}\n{:<20} run/{}\n", "stays", step(30), "removed", step(20)));
}

TEST_F(CkptPrune, OnlyTellsInADryRun) {
  std::filesystem::create_directory(at("run/.trash-0123456789abcdef"));
  const auto before = names("run");
  const auto result = json("prune run --keep 3 --dry-run");
  EXPECT_EQ(result["removed"], paths({10}));
  EXPECT_EQ(result["leftovers"], Json::array({"run/.trash-0123456789abcdef"}));
  EXPECT_EQ(names("run"), before);
  EXPECT_THAT(ckpt("prune run --keep 3 --dry-run").out, HasSubstr("would be removed     run/" + step(10)));
}

TEST_F(CkptPrune, ClearsWhatInterruptedSavesLeft) {
  for (const auto* name : {"run/.step-0123456789abcdef", "run/.trash-0123456789abcdef"}) {
    std::filesystem::create_directory(at(name));
    write_file(at(std::string(name) + "/model.safetensors"), "half");
  }
  write_file(at("run/notes.txt"), "mine");
  EXPECT_EQ(json("prune run --keep 9")["leftovers"].size(), 2u);
  EXPECT_THAT(names("run"), ElementsAre(".lock", "notes.txt", step(10), step(20), step(25), step(30)));
}

TEST_F(CkptPrune, CountsDamagedOnesForNothing) {
  damage("run/" + step(30) + "/manifest.json", 40);
  // That of 25 looks good until it is read.
  const auto file = "run/" + step(25) + "/train.safetensors";
  damage(file, std::filesystem::file_size(at(file)) - 1);
  const auto result = json("prune run --keep 1", 1);
  EXPECT_EQ(result["damaged"], paths({30, 25}));
  EXPECT_EQ(result["kept"], paths({20}));
  EXPECT_EQ(result["removed"], paths({10}));
  EXPECT_THAT(names("run"), ElementsAre(".lock", step(20), step(25), step(30)));
}

TEST_F(CkptPrune, RemovesNothingWhereAllAreDamaged) {
  for (const auto steps : {10, 20, 25, 30}) damage("run/" + step(steps) + "/manifest.json", 40);
  EXPECT_EQ(json("prune run --keep 1", 1)["damaged"], paths({30, 25, 20, 10}));
  EXPECT_EQ(names("run").size(), 5u);
}

TEST_F(CkptPrune, LeavesWhatIsBeingRead) {
  const Checkpoint reader(at("run/" + step(20)));
  const auto result = json("prune run --keep 1");
  EXPECT_EQ(result["busy"], paths({20}));
  EXPECT_EQ(result["removed"], paths({25, 10}));
  EXPECT_TRUE(reader.verify().empty());
}

TEST_F(CkptPrune, WaitsForNoSave) {
  const auto result =
      shell(fmt::format("flock {} {} prune {} --keep 1", at("run/.lock"), TUTTI_CKPT, at("run")));
  EXPECT_EQ(result.code, 3);
  EXPECT_THAT(result.err, HasSubstr("another run is saving"));
  EXPECT_EQ(names("run").size(), 5u);
}

}  // namespace
}  // namespace tutti::test
