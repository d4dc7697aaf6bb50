// tutti-ckpt and checkpoints that are encrypted.
#include "tests/tools/ckpt_support.h"
#include "tutti/checkpoint/checkpoint.h"
#include "tutti/checkpoint/encryption.h"

namespace tutti::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CkptEncrypted : public Ckpt {
 protected:
  void SetUp() override {
    for (const auto* name : {"a.key", "b.key"}) new_key_file(at(name));
    for (const auto steps : {1, 2}) save("run", steps, model(), 2, Encryption{{key_file(at("a.key"))}});
    save("plain", 1);
  }
};

TEST_F(CkptEncrypted, IsReadWithAKeyOnly) {
  const auto listed = json("ls run --key-file b.key --key-file a.key")["checkpoints"];
  ASSERT_EQ(listed.size(), 2u);
  EXPECT_EQ(listed[0]["steps"], 2);
  EXPECT_EQ(listed[0]["encrypted"], true);
  EXPECT_EQ(json("ls run")["checkpoints"][0]["damaged"], false);  // that cannot be known
  EXPECT_TRUE(json("ls run --key-file b.key")["checkpoints"][0].contains("locked"));
  for (const auto* command : {"show", "verify", "export --parts all"}) {
    const auto to = std::string(command).starts_with("export") ? " out" : "";
    const auto arguments = fmt::format("{} run/{}{}", command, step(2), to);
    EXPECT_THAT(ckpt(arguments).err, HasSubstr("encrypted")) << command;
    EXPECT_EQ(ckpt(arguments).code, 3) << command;
    EXPECT_EQ(ckpt(arguments + " --key-file b.key").code, 3) << command;
    EXPECT_EQ(ckpt(arguments + " --key-file a.key").code, 0) << command;
  }
  EXPECT_EQ(ckpt(fmt::format("diff run/{} run/{} --key-file a.key", step(1), step(2))).out,
            "equal: 7 tensors\n");
}

TEST_F(CkptEncrypted, PlainTextIsNoSubstitute) {
  EXPECT_EQ(ckpt("show plain/" + step(1) + " --key-file a.key").code, 3);
  EXPECT_EQ(ckpt("verify plain --key-file a.key").code, 3);
}

TEST_F(CkptEncrypted, AnImportIsForAllItsKeys) {
  ASSERT_EQ(ckpt("export plain/" + step(1) + " a.safetensors").code, 0);
  const auto made = "new/" + step(5);
  EXPECT_EQ(json("import a.safetensors " + made + " --key-file a.key --key-file b.key")["tensors"], 6);
  EXPECT_THAT(names(made), ElementsAre("keys.json", "manifest.json.enc", "model.safetensors.enc",
                                       "train.safetensors.enc"));
  EXPECT_EQ(ckpt("verify " + made).code, 3);
  for (const auto* key : {"a", "b"}) {
    EXPECT_EQ(ckpt(fmt::format("verify {} --key-file {}.key", made, key)).code, 0);
    EXPECT_EQ(ckpt(fmt::format("export {} {}.back.safetensors --key-file {}.key", made, key, key)).code, 0);
    EXPECT_TRUE(read_file(at(key + std::string(".back.safetensors"))) == read_file(at("a.safetensors")));
  }
  EXPECT_EQ(ckpt("import a.safetensors weights --key-file a.key").code, 2);
  EXPECT_THAT(ckpt("import a.safetensors run/" + step(9)).err, HasSubstr("is encrypted"));
  EXPECT_THAT(names("run"), ElementsAre(".lock", step(1), step(2)));
}

TEST_F(CkptEncrypted, AnImportLeavesNothingBehindOnAFullDisk) {
  ASSERT_EQ(ckpt("export plain/" + step(1) + " a.safetensors").code, 0);
  const auto result = shell(fmt::format("trap '' XFSZ; ulimit -f 100; {} import {} {} --key-file {}",
                                        TUTTI_CKPT, at("a.safetensors"), at("run/" + step(9)), at("a.key")));
  EXPECT_EQ(result.code, 3);
  EXPECT_THAT(result.err, HasSubstr("File too large"));
  EXPECT_THAT(names("run"), ElementsAre(".lock", step(1), step(2)));
}

TEST_F(CkptEncrypted, DamageIsNamed) {
  const auto file = "run/" + step(2) + "/shard-00001-of-00002.safetensors.enc";
  damage(file, std::filesystem::file_size(at(file)) / 2);
  const auto all = json("verify run --key-file a.key", 1)["checkpoints"];
  ASSERT_EQ(all[0]["damage"].size(), 1u);
  EXPECT_THAT(all[0]["damage"][0]["message"], HasSubstr("shard-00001-of-00002.safetensors.enc"));
  EXPECT_EQ(all[1]["damaged"], false);
}

TEST_F(CkptEncrypted, PruneNeedsAKey) {
  EXPECT_EQ(ckpt("prune run --keep 1").code, 3);
  EXPECT_EQ(ckpt("prune run --keep 1 --key-file b.key").code, 1);  // as good as damaged, and so it stays
  EXPECT_THAT(names("run"), ElementsAre(".lock", step(1), step(2)));
  EXPECT_EQ(ckpt("prune run --keep 1 --key-file a.key").code, 0);
  EXPECT_THAT(names("run"), ElementsAre(".lock", step(2)));
}

TEST_F(CkptEncrypted, RewrapChangesWhoCanRead) {
  const auto data = read_file(at("run/" + step(2) + "/shard-00000-of-00002.safetensors.enc"));
  const auto files = names("run/" + step(2));
  EXPECT_EQ(ckpt("rewrap run --key-file b.key --recipient b.key").code, 3);
  EXPECT_EQ(ckpt("rewrap plain --key-file a.key --recipient b.key").code, 3);
  EXPECT_EQ(ckpt("rewrap run --key-file a.key").code, 2);
  EXPECT_EQ(ckpt("verify run --key-file a.key").code, 0);
  EXPECT_EQ(json("rewrap run --key-file a.key --recipient b.key")["rewrapped"].size(), 2u);
  EXPECT_EQ(names("run/" + step(2)), files);
  EXPECT_TRUE(read_file(at("run/" + step(2) + "/shard-00000-of-00002.safetensors.enc")) == data);
  EXPECT_EQ(ckpt("verify run --key-file a.key").code, 3);
  EXPECT_EQ(ckpt("verify run --key-file b.key").code, 0);
  EXPECT_EQ(ckpt("rewrap run --key-file b.key --recipient a.key --recipient b.key").code, 0);
  EXPECT_EQ(ckpt("verify run --key-file a.key").code, 0);
  EXPECT_EQ(ckpt("verify run --key-file b.key").code, 0);
}

TEST_F(CkptEncrypted, ARewrapThatFailsChangesNothing) {
  const auto folder = "run/" + step(2);
  const auto keys = read_file(at(folder + "/keys.json"));
  const auto files = names(folder);
  const auto result =
      shell(fmt::format("trap '' XFSZ; ulimit -f 0; {} rewrap {} --key-file {} --recipient {}", TUTTI_CKPT,
                        at(folder), at("a.key"), at("b.key")));
  EXPECT_EQ(result.code, 3);
  EXPECT_EQ(read_file(at(folder + "/keys.json")), keys);
  EXPECT_EQ(names(folder), files);
  // Killed in the middle, it leaves a file that must not keep the checkpoint from being read.
  write_file(at(folder + "/.keys-0123456789abcdef.enc"), "half");
  EXPECT_EQ(ckpt("verify run --key-file a.key").code, 0);
}

}  // namespace
}  // namespace tutti::test
