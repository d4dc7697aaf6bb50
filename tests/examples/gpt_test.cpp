// The example gpt, run as a user runs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/shell.h"

namespace tutti::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// What stands behind `label` in `text`, as a number.
double number_behind(const std::string& label, const std::string& text) {
  const auto at = text.rfind(label);
  return at == std::string::npos ? -1 : std::stod(text.substr(at + label.size()));
}

// The validation loss and the fingerprint.
std::string end_of(const Result& result) {
  const auto at = result.out.rfind("validation loss ");
  return at == std::string::npos ? "no end: " + result.err : result.out.substr(at);
}

class GptExample : public testing::Test {
 protected:
  void SetUp() override {
    std::string text;
    for (int i = 0; i < 400; ++i) text += "abcdefghij\n";
    write_file(directory_ / "text", text);
  }
  // A model that a test can train, on `ranks` ranks.
  Result gpt(int ranks, const std::string& more) const {
    return shell(fmt::format(TUTTI_RUN " -n {} " GPT
                                       " --text {} --layers 1 --heads 2 --width 16 --context 16 --batch 4 {}",
                             ranks, directory_ / "text", more),
                 100);
  }
  TemporaryDirectory directory_;
};

TEST_F(GptExample, LearnsAndWritesOn) {
  const auto result = gpt(1, "--steps 150 --lr 1e-2 --sample 22");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("11 characters in the alphabet, 1 rank(s)"),
                                HasSubstr("step 150/150"), HasSubstr("defghij\nabcd")));
  EXPECT_LT(number_behind("validation loss ", result.out), 0.1);
}

// By default two ranks have two logical ranks, and the sums are other ones.
TEST_F(GptExample, EndsInTheSameLossOnTwoRanks) {
  const std::string more = "--steps 20 --sample 0 --evaluations 4";
  const double one = number_behind("validation loss ", gpt(1, more).out);
  EXPECT_GT(one, 0);
  EXPECT_NEAR(number_behind("validation loss ", gpt(2, more).out), one, 2e-4);
}

TEST_F(GptExample, EndsInTheSameBitsOnAnyNumberOfRanks) {
  const std::string more =
      "--logical-ranks 4 --steps 20 --dropout 0.1 --sample 0 --evaluations 4 --fingerprint";
  const auto one = gpt(1, more);
  EXPECT_THAT(one.out, HasSubstr("\nfingerprint ")) << one.err;
  for (const int ranks : {2, 3, 4}) EXPECT_EQ(end_of(gpt(ranks, more)), end_of(one)) << ranks;
  EXPECT_NE(end_of(gpt(1, more + " --seed 2")), end_of(one));
}

TEST_F(GptExample, EndsInTheSameBitsHoweverItIsSharded) {
  const std::string more = "--logical-ranks 4 --steps 10 --bf16 --sample 5 --evaluations 2 --fingerprint";
  const auto one = gpt(1, more);
  EXPECT_THAT(one.out, HasSubstr("\nfingerprint ")) << one.err;
  for (const char* shard : {"optimizer", "gradients", "parameters"}) {
    EXPECT_EQ(end_of(gpt(4, more + " --shard " + shard)), end_of(one)) << shard;
  }
  EXPECT_NE(gpt(1, more + " --shard some").code, 0);
}

TEST_F(GptExample, GoesOnFromItsCheckpointInAnotherWorld) {
  const std::string more =
      "--logical-ranks 4 --dropout 0.1 --sample 0 --steps 30 --save-every 10 --fingerprint --checkpoints " +
      directory_.path().string();
  const auto whole = gpt(2, more + "/whole");
  EXPECT_EQ(whole.code, 0) << whole.err;
  std::filesystem::create_directory(directory_ / "parts");  // of a run that died after step 10
  std::filesystem::copy(directory_ / "whole/step-0000000010", directory_ / "parts/step-0000000010");
  const auto rest = gpt(3, more + "/parts");
  EXPECT_EQ(rest.code, 0) << rest.err;
  EXPECT_THAT(rest.out, HasSubstr("at step 10"));
  EXPECT_EQ(end_of(rest), end_of(whole));
}

TEST_F(GptExample, RefusesToGoOnAsAnotherRun) {
  const std::string more =
      "--steps 2 --sample 0 --save-every 1 --evaluations 1 --checkpoints " + directory_ / "run";
  EXPECT_EQ(gpt(1, more).code, 0);
  const auto parts = gpt(1, more + " --logical-ranks 2"), seed = gpt(1, more + " --seed 2");
  EXPECT_EQ(parts.code, 1);
  EXPECT_THAT(parts.err, HasSubstr("was saved with 1 logical ranks, this world has 2"));
  EXPECT_EQ(seed.code, 1);
  EXPECT_THAT(seed.err, HasSubstr("seed is 1337 in the state and 2 in this loader"));
}

TEST_F(GptExample, SaysWhatIsWrong) {
  const auto missing = shell(GPT " --text /not/there");
  EXPECT_NE(missing.code, 0);
  EXPECT_THAT(missing.err, HasSubstr("/not/there"));
  const auto odd = gpt(5, "--steps 1");
  EXPECT_EQ(odd.code, 1);
  EXPECT_THAT(odd.err, AllOf(HasSubstr("gpt: "), HasSubstr("4 by 8")));
  write_file(directory_ / "text", "short");
  const auto small = gpt(1, "--steps 1");
  EXPECT_EQ(small.code, 1);
  EXPECT_THAT(small.err, AllOf(HasSubstr("gpt: "), HasSubstr(directory_ / "text")));
}

TEST(Examples, ExplainThemselves) {
  for (const std::string program : {GPT, MNIST, ALLREDUCE}) {
    const auto help = shell(program + " --help");
    EXPECT_EQ(help.code, 0) << program;
    EXPECT_THAT(help.out, HasSubstr("Usage: ")) << program;
  }
}

TEST(Examples, AllReduceAddsTheRanks) {
  const auto result = shell(TUTTI_RUN " -n 3 " ALLREDUCE);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("rank 2 of 3 (shm): the sum is 6"));
}

}  // namespace
}  // namespace tutti::test
