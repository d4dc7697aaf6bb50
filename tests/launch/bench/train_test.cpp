// tutti-bench train.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <bit>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/shell.h"
#include "tutti/checkpoint/safetensors.h"

namespace {

using namespace tutti::test;

using ::testing::HasSubstr;

constexpr auto tiny_gpt =
    "--layers 1 --width 16 --heads 2 --context 8 --vocabulary 11 --micro-batch 2 --steps 4 --warmup 2 --lr "
    "1e-2";

nlohmann::json document_of(const std::string& command) {
  const TemporaryDirectory directory;
  const auto json = directory / "result.json";
  const auto result = shell(fmt::format("{} --json {}", command, json));
  EXPECT_EQ(result.code, 0) << command << result.err;
  return nlohmann::json::parse(read_file(json));
}

void check_gpt(const std::string& command, const char* backend, int ranks) {
  const auto document = document_of(fmt::format("{} train {}", command, tiny_gpt));
  EXPECT_EQ(document["backend"], backend);
  EXPECT_EQ(document["ranks"], ranks);
  EXPECT_EQ(document["unit"], "tokens");
  const auto units = std::bit_ceil(static_cast<unsigned>(ranks)) * 2 * 8;  // as many logical ranks
  EXPECT_EQ(document["units_per_step"], units);
  EXPECT_EQ(document["peak_rss_bytes"].size(), static_cast<std::size_t>(ranks));
  EXPECT_GT(document["peak_rss_bytes"][0], 1'000'000);
  ASSERT_EQ(document["rows"].size(), 1u);
  const auto& row = document["rows"][0];
  EXPECT_NEAR(row["first_loss"].get<double>(), std::log(11), 0.3);
  EXPECT_LT(row["last_loss"], row["first_loss"]);
  EXPECT_LE(row["step_ms_min"], row["step_ms"]);
  EXPECT_LE(row["step_ms"], row["step_ms_max"]);
  EXPECT_NEAR(row["units_per_s_max"].get<double>(), units * 1e3 / row["step_ms_min"].get<double>(), 1e-3);
  const auto bytes = document["parameters"].get<std::int64_t>() * 4;
  EXPECT_EQ(row["parameter_bytes"], bytes);
  EXPECT_GE(row["gradient_bytes"], bytes);  // which begin at cache lines
  EXPECT_LT(row["gradient_bytes"].get<double>(), 1.25 * static_cast<double>(bytes));
  EXPECT_GE(row["optimizer_bytes"], 2 * bytes);
}

TEST(BenchTrain, MeasuresThreadsAndProcesses) {
  check_gpt(TUTTI_BENCH, "shm", 2);
  check_gpt(TUTTI_RUN " -n 3 " TUTTI_BENCH, "shm", 3);
  const auto alone = document_of(TUTTI_BENCH " train -n 1 --backend threads --model mlp --steps 3");
  EXPECT_EQ(alone["unit"], "images");
  EXPECT_EQ(alone["units_per_step"], 4);
}

#ifdef MPIRUN
TEST(BenchTrain, MeasuresMpi) { check_gpt(MPIRUN " -n 2 " TUTTI_BENCH, "mpi", 2); }
#endif

TEST(BenchTrain, TakesAnyNumberOfLogicalRanks) {
  const auto run = [](int ranks) {
    return document_of(
        fmt::format(TUTTI_BENCH " train {} --backend threads --logical-ranks 4 -n {}", tiny_gpt, ranks));
  };
  const auto together = run(4);
  EXPECT_EQ(together["units_per_step"], 4 * 2 * 8);
  for (const int ranks : {1, 3}) {
    const auto fewer = run(ranks);
    EXPECT_EQ(fewer["units_per_step"], together["units_per_step"]);
    EXPECT_EQ(fewer["rows"][0]["first_loss"], together["rows"][0]["first_loss"]) << ranks;
    EXPECT_EQ(fewer["rows"][0]["last_loss"], together["rows"][0]["last_loss"]) << ranks;
  }
}

TEST(BenchTrain, LearnsTheBytesOfAText) {
  const TemporaryDirectory directory;
  const auto text = directory / "text";
  std::string verse;
  for (int i = 0; i < 200; ++i) verse += "all together now, ";
  write_file(text, verse);
  const auto run = [&text](int ranks) {
    return document_of(fmt::format(
        TUTTI_BENCH
        " train --backend threads --logical-ranks 2 -n {} --model gpt --layers 1 --width 16 "
        "--heads 2 --context 8 --vocabulary 256 --micro-batch 4 --steps 80 --warmup 2 --lr 3e-2 "
        "--text {}",
        ranks, text))["rows"][0]["losses"]
        .get<std::vector<double>>();
  };
  const auto losses = run(1);
  ASSERT_GE(losses.size(), 80u);
  EXPECT_NEAR(losses.front(), std::log(256), 0.3);
  EXPECT_LT(losses.back(), 0.7);  // seven bits of a character would be 4.9
  EXPECT_EQ(run(2), losses);
  write_file(text, "short");
  const auto refused = shell(
      fmt::format(TUTTI_BENCH " train -n 1 --backend threads --model gpt --vocabulary 256 --text {}", text));
  EXPECT_NE(refused.code, 0);
  EXPECT_THAT(
      refused.err,
      HasSubstr("--text is for a gpt with a vocabulary of 256 or more, and is longer than its context"));
}

TEST(BenchTrain, ComparesTheOrders) {
  const auto document = document_of(fmt::format(TUTTI_BENCH " train {} --order both", tiny_gpt));
  ASSERT_EQ(document["rows"].size(), 2u);
  const auto &tree = document["rows"][0], &any = document["rows"][1];
  EXPECT_EQ(tree["order"], "tree");
  EXPECT_EQ(any["order"], "any");
  EXPECT_NEAR(tree["last_loss"].get<double>(), any["last_loss"].get<double>(), 1e-4);
  EXPECT_NEAR(document["tree_to_any"].get<double>(),
              tree["step_ms"].get<double>() / any["step_ms"].get<double>(), 1e-9);
  for (const auto& row : document["rows"]) {
    EXPECT_GE(row["waiting"], 0);
    EXPECT_LE(row["waiting"], 1);
  }
}

TEST(BenchTrain, ShardsWhatItIsTold) {
  const auto run = [](const char* shard) {
    return document_of(fmt::format(TUTTI_BENCH " train {} --shard {}", tiny_gpt, shard))["rows"][0];
  };
  const auto whole = run("none");
  for (const char* shard : {"optimizer", "gradients", "parameters"}) {
    const auto part = run(shard);
    EXPECT_EQ(part["last_loss"], whole["last_loss"]) << shard;
    EXPECT_LT(part["optimizer_bytes"], 0.7 * whole["optimizer_bytes"].get<double>()) << shard;
  }
}

TEST(BenchTrain, KnowsTheNetworksOfImages) {
  for (const auto& [name, parameters] : {std::pair{"mlp", 669706}, std::pair{"cnn", 421642},
                                         std::pair{"lenet", 61706}, std::pair{"resnet20", 269722}}) {
    const auto document =
        document_of(fmt::format(TUTTI_BENCH " train -n 1 --backend threads --model {} --steps 1", name));
    EXPECT_EQ(document["parameters"], parameters);
    EXPECT_LT(document["rows"][0]["last_loss"], document["rows"][0]["first_loss"]) << name;
  }
}

TEST(BenchOps, MeasuresThoseAskedFor) {
  const auto result = shell(TUTTI_BENCH " ops --filter small --rounds 2");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("\nmatmul small: 32 x 32 x 32 "));
  EXPECT_THAT(result.out, HasSubstr(" GFLOP/s"));
  const auto document = document_of(TUTTI_BENCH " ops --filter small --rounds 2");
  ASSERT_EQ(document["rows"].size(), 1u);
  EXPECT_GT(document["rows"][0]["us"], 0);
  EXPECT_GT(document["copy_bytes_per_s"], 0);
  const auto none = shell(TUTTI_BENCH " ops --filter nothing");
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.err, HasSubstr("no operation has 'nothing' in its name"));
}

TEST(BenchTrain, PrintsATable) {
  const auto result = shell(TUTTI_BENCH " train -n 2 --backend threads --model cnn --steps 2 --warmup 2");
  EXPECT_EQ(result.code, 0) << result.err;
  for (const char* part :
       {"train: cnn of 421642 parameters, 2 ranks, back end threads",
        "\norder: tree\nstep: ", " % of it waiting for the reduction\n", "\nimages/s: ", "\nloss: 2.",
        "\nMB on rank 0: parameters 1.7, gradients 1.7, buffers 0.0, optimizer 3.4",
        "\nMB of tensors at the peak, in the process of rank 0: activations ",
        " optimizer 6.7 parameters 3.4 ", "\npeak MB of each rank: "})
    EXPECT_THAT(result.out, HasSubstr(part));
}

TEST(BenchTrain, SavesWhatItBeginsFrom) {
  const TemporaryDirectory directory;
  const auto file = directory / "begin.safetensors";
  EXPECT_EQ(shell(fmt::format(TUTTI_BENCH " train {} --save {}", tiny_gpt, file)).code, 0);
  const tutti::safetensors::Reader reader(file);
  EXPECT_EQ(reader.read(reader.at("transformer.wpe.weight")).shape(), tutti::Shape({8, 16}));
  const auto inputs = reader.read(reader.at("inputs.1")), targets = reader.read(reader.at("targets.1"));
  EXPECT_EQ(inputs.slice(1, 1, 8).contiguous().to_vector<std::int64_t>(),
            targets.slice(1, 0, 7).contiguous().to_vector<std::int64_t>());
  EXPECT_NE(inputs.to_vector<std::int64_t>(), reader.read(reader.at("inputs.0")).to_vector<std::int64_t>());
}

TEST(BenchTrain, SaysWhatIsWrongWithItsArguments) {
  EXPECT_EQ(shell(TUTTI_BENCH " train --model rnn").code, 2);
  EXPECT_EQ(shell(TUTTI_BENCH " train --warmup 1").code, 2);
  EXPECT_EQ(shell(TUTTI_BENCH " train --shard everything").code, 2);
  const auto few = shell(TUTTI_BENCH " train --backend threads -n 3 --logical-ranks 2");
  EXPECT_EQ(few.code, 1);
  EXPECT_THAT(few.err, HasSubstr("2 of them serve at most 2 ranks, not 3"));
  const auto heads = shell(TUTTI_BENCH " train --backend threads --heads 5");
  EXPECT_EQ(heads.code, 1);
  EXPECT_THAT(heads.err, HasSubstr("heads"));
}

}  // namespace
