// What tutti-ckpt does with what it cannot use.
#include "tests/tools/ckpt_support.h"

namespace tutti::test {
namespace {

using testing::HasSubstr;

using CkptUsage = Ckpt;

TEST_F(CkptUsage, HelpTellsOfCommandsAndExitCodes) {
  const auto help = ckpt("--help");
  EXPECT_EQ(help.code, 0);
  for (const auto* word :
       {"ls", "show", "verify", "diff", "export", "import", "rewrap", "prune", "Exit code"})
    EXPECT_THAT(help.out, HasSubstr(word));
  EXPECT_EQ(ckpt("prune --help").code, 0);
  EXPECT_THAT(ckpt("--version").out, HasSubstr("tutti-ckpt "));
}

TEST_F(CkptUsage, WrongOptionsAre2) {
  save("run", 1);
  const auto checkpoint = "run/" + step(1);
  for (const auto& arguments :
       {std::string(), std::string("ls"), std::string("frobnicate run"), std::string("prune run"),
        std::string("prune run --keep 0"), "show --depth " + checkpoint,
        "export " + checkpoint + " x.safetensors --max-shard-size 1GB",
        "import x.safetensors run/" + step(2) + " --steps 3", "show --key-file nowhere " + checkpoint}) {
    const auto result = ckpt(arguments);
    EXPECT_EQ(result.code, 2) << arguments;
    EXPECT_EQ(result.out, "") << arguments;
    EXPECT_NE(result.err, "") << arguments;
  }
}

TEST_F(CkptUsage, WhatCannotBeReadOrWrittenIs3) {
  save("run", 1);
  std::filesystem::create_directory(at("empty"));
  const auto checkpoint = "run/" + step(1);
  for (const auto& arguments :
       {std::string("ls nowhere"), std::string("show empty"), std::string("verify empty"),
        std::string("verify nowhere"), "verify nowhere/" + step(1), "diff " + checkpoint + " empty",
        std::string("export empty out"), "export " + checkpoint + " /proc/none/out",
        "export --parts brain " + checkpoint + " out", std::string("import nowhere.safetensors out"),
        std::string("prune nowhere --keep 1")}) {
    const auto result = ckpt(arguments);
    EXPECT_EQ(result.code, 3) << arguments;
    EXPECT_EQ(result.out, "") << arguments;
    EXPECT_THAT(result.err, testing::StartsWith("tutti-ckpt: ")) << arguments;
  }
  EXPECT_FALSE(std::filesystem::exists(at("out")));
  EXPECT_THAT(ckpt("export --parts brain " + checkpoint + " out").err, HasSubstr("model, optimizer"));
}

TEST_F(CkptUsage, ReportsThatNobodyGotTheResult) {
  save("run", 1);
  const auto result = ckpt("ls run > /dev/full");
  EXPECT_EQ(result.code, 3);
  EXPECT_THAT(result.err, HasSubstr("No space left"));
}

}  // namespace
}  // namespace tutti::test
