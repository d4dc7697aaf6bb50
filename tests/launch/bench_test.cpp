#include <fmt/format.h>
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/support/shell.h"

namespace {

using namespace tutti::test;

using ::testing::HasSubstr;

void check_backend(const std::string& backend, const std::string& before = "") {
  const TemporaryDirectory directory;
  const auto json = directory / "result.json";
  const auto result = shell(fmt::format(
      "{} " TUTTI_BENCH " all_reduce -n 3 --backend {} --min 1K --max 64K --iters 2 --rounds 2 --json {}",
      before, backend, json));
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr(fmt::format("3 ranks, back end {}", backend)));
  EXPECT_THAT(result.out, HasSubstr("# Wrong elements: 0\n"));
  EXPECT_THAT(result.out, HasSubstr("# Average bus bandwidth: "));
  const auto document = nlohmann::json::parse(read_file(json));
  EXPECT_EQ(document["backend"], backend);
  EXPECT_EQ(document["ranks"], 3);
  ASSERT_EQ(document["rows"].size(), 4u);  // 1K, 4K, 16K, 64K
  const auto& row = document["rows"][3];
  EXPECT_EQ(row["size"], 65536);
  EXPECT_EQ(row["count"], 16384);
  EXPECT_EQ(row["in_place"]["wrong"], 0);
  const double seconds = row["out_of_place"]["time_us"].get<double>() * 1e-6;
  EXPECT_GT(seconds, 0);
  EXPECT_NEAR(row["out_of_place"]["algbw_gb_s"].get<double>(), 65536 / seconds / 1e9, 1e-9);
  EXPECT_NEAR(row["out_of_place"]["busbw_gb_s"].get<double>(), 65536 / seconds / 1e9 * 4 / 3, 1e-9);
}

TEST(Bench, MeasuresThreads) { check_backend("threads"); }
TEST(Bench, MeasuresProcesses) { check_backend("shm"); }
#ifdef MPIRUN
TEST(Bench, MeasuresMpi) {
  const std::string mpirun = MPIRUN;
  check_backend("mpi", mpirun.substr(0, mpirun.rfind(' ')));
}

TEST(Bench, MeasuresAPeerByTurns) {
  const std::string mpirun = MPIRUN;
  const TemporaryDirectory directory;
  const auto json = directory / "result.json";
  for (const char* buffers : {"", "--shared-buffers"}) {
    const auto result =
        shell(fmt::format("{} " TUTTI_BENCH " all_reduce -n 3 --vs mpi --min 4 --max 64K --factor 128 "
                          "--iters 2 --rounds 3 --json {} {}",
                          mpirun.substr(0, mpirun.rfind(' ')), json, buffers));
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_THAT(result.out, HasSubstr("3 ranks, back end shm"));
    const auto document = nlohmann::json::parse(read_file(json));
    EXPECT_THAT(document["peer"].get<std::string>(), HasSubstr("MPI"));
    ASSERT_EQ(document["rows"].size(), 3u);  // 4, 512, 64K
    for (const auto& row : document["rows"]) {
      EXPECT_GT(row["time_us"], 0);
      EXPECT_GT(row["peer_time_us"], 0);
      EXPECT_LE(row["ratio_min"], row["ratio"]);
      EXPECT_LE(row["ratio"], row["ratio_max"]);
      EXPECT_EQ(row["wrong"], 0);
    }
  }
}

TEST(Bench, SaysWhatAPeerLacks) {
  EXPECT_THAT(shell(TUTTI_RUN " -n 2 " TUTTI_BENCH " all_reduce --vs mpi").err,
              HasSubstr("MPI has 1 rank(s), Tutti 2: mpirun must start them"));
  EXPECT_THAT(shell(TUTTI_BENCH " all_reduce --vs mpi --backend threads").err,
              HasSubstr("--vs mpi needs processes"));
  EXPECT_THAT(shell(std::string(MPIRUN) + " -n 1 " TUTTI_BENCH " all_reduce --vs mpi --dtype bf16").err,
              HasSubstr("MPI has no bf16"));
}
#endif

TEST(Bench, UsesTheRanksThatAreThere) {
  const auto result = shell(TUTTI_RUN " -n 2 " TUTTI_BENCH " all_reduce -n 4 --max 4K --iters 1 --rounds 1");
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("2 ranks, back end shm"));
}

TEST(Bench, IsExactInEveryTypeAndReduction) {
  for (const char* dtype : {"f32", "f64", "bf16", "f16", "i32", "i64", "u8", "bool"}) {
    for (const char* op : {"sum", "avg", "min", "max", "prod"}) {
      const bool floating = std::string_view(dtype).find('f') != std::string_view::npos;
      if (std::string_view(op) == "avg" && !floating) continue;
      const auto result = shell(fmt::format(
          TUTTI_BENCH " all_reduce -n 3 --backend threads --dtype {} --op {} --max 4K --iters 1 --rounds 1",
          dtype, op));
      EXPECT_THAT(result.out, HasSubstr("# Wrong elements: 0\n")) << dtype << " " << op << result.err;
    }
  }
}

TEST(Bench, SaysWhatIsWrongWithItsArguments) {
  EXPECT_EQ(shell(TUTTI_BENCH).code, 2);
  EXPECT_EQ(shell(TUTTI_BENCH " all_reduce --min 2M --max 1M").code, 2);
  EXPECT_EQ(shell(TUTTI_BENCH " all_reduce --dtype f8").code, 2);
  const auto unwritable =
      shell(TUTTI_BENCH " all_reduce --backend threads --max 4K --iters 1 --json /not/there.json");
  EXPECT_EQ(unwritable.code, 1);
  EXPECT_THAT(unwritable.err, HasSubstr("cannot write /not/there.json: No such file or directory"));
}

}  // namespace
