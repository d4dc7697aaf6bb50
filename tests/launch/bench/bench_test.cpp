#include <fmt/format.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "tests/support/shell.h"

namespace {

using namespace tutti::test;

using ::testing::HasSubstr;

#ifdef MPIRUN
const std::string mpirun = MPIRUN;
const std::string mpi_environment = mpirun.substr(0, mpirun.rfind(' ')) + " ";
#else
const std::string mpi_environment;
#endif

constexpr auto tiny = "--min 4 --max 4K --factor 32 --iters 2 --rounds 2";  // 4, 128, 4K

void check_backend(const std::string& backend, const std::string& before = "") {
  const TemporaryDirectory directory;
  const auto json = directory / "result.json";
  const auto result = shell(fmt::format(
      "{} " TUTTI_BENCH " all_reduce -n 3 --backend {} --min 1K --max 64K --iters 2 --rounds 2 --json {}",
      before, backend, json));
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr(fmt::format("3 ranks, back end {}, private buffers", backend)));
  EXPECT_THAT(result.out, HasSubstr("# a cache line from rank 0 to rank 1: "));
  EXPECT_THAT(result.out, HasSubstr("# Wrong elements: 0\n"));
  EXPECT_THAT(result.out, HasSubstr("# Average bus bandwidth: "));
  const auto document = nlohmann::json::parse(read_file(json));
  EXPECT_EQ(document["backend"], backend);
  EXPECT_EQ(document["ranks"], 3);
  EXPECT_GT(document["line_latency_ns"], 0);
  ASSERT_EQ(document["rows"].size(), 4u);  // 1K, 4K, 16K, 64K
  const auto& row = document["rows"][3];
  EXPECT_EQ(row["size"], 65536);
  EXPECT_EQ(row["count"], 16384);
  EXPECT_EQ(row["in_place"]["wrong"], 0);
  const auto& form = row["out_of_place"];
  const double seconds = form["time_us"].get<double>() * 1e-6;
  EXPECT_GT(seconds, 0);
  EXPECT_LE(form["time_us_min"], form["time_us"]);
  EXPECT_LE(form["time_us"], form["time_us_max"]);
  EXPECT_GT(form["of_copy"], 0);
  EXPECT_NEAR(form["algbw_gb_s"].get<double>(), 65536 / seconds / 1e9, 1e-9);
  EXPECT_NEAR(form["busbw_gb_s"].get<double>(), 65536 / seconds / 1e9 * 4 / 3, 1e-9);
}

TEST(Bench, MeasuresThreads) { check_backend("threads"); }
TEST(Bench, MeasuresProcesses) { check_backend("shm"); }

// Each collective, in each of its forms; `bus` is the factor on two ranks.
struct Expected {
  const char* collective;
  std::vector<const char*> forms;
  double bus;
};
const Expected all_expected[] = {{"all_reduce", {"out_of_place", "in_place"}, 1},
                                 {"reduce_scatter", {"out_of_place"}, 0.5},
                                 {"all_gather", {"out_of_place", "in_place"}, 0.5},
                                 {"broadcast", {"in_place"}, 1},
                                 {"all_to_all", {"out_of_place"}, 0.5},
                                 {"send_recv", {"out_of_place"}, 1}};

void check_collectives(const std::string& backend) {
  const TemporaryDirectory directory;
  const auto json = directory / "result.json";
  for (const auto& expected : all_expected) {
    for (const int ranks : {2, 3}) {
      const auto result = shell(fmt::format("{}" TUTTI_BENCH " {} -n {} --backend {} {} {} --json {}",
                                            mpi_environment, expected.collective, ranks, backend, tiny,
                                            ranks == 2 ? "--registered" : "", json));
      ASSERT_EQ(result.code, 0) << expected.collective << " on " << ranks << result.out << result.err;
      const auto document = nlohmann::json::parse(read_file(json));
      EXPECT_EQ(document["collective"], expected.collective);
      EXPECT_EQ(document["buffers"], ranks == 2 ? "registered" : "private");
      ASSERT_EQ(document["rows"].size(), 3u);
      for (const auto& row : document["rows"]) {
        for (const char* form : {"out_of_place", "in_place"}) {
          const bool exists =
              std::count(expected.forms.begin(), expected.forms.end(), std::string_view(form)) > 0;
          ASSERT_EQ(row.contains(form), exists) << expected.collective << " " << form;
          if (!exists) continue;
          EXPECT_EQ(row[form]["wrong"], 0);
          const double bus = row[form]["busbw_gb_s"].get<double>() / row[form]["algbw_gb_s"].get<double>();
          if (ranks == 2) {
            EXPECT_NEAR(bus, expected.bus, 1e-9);
          }
        }
      }
    }
  }
  const auto barrier = shell(fmt::format("{}" TUTTI_BENCH " barrier -n 3 --backend {} --iters 5 --rounds 2",
                                         mpi_environment, backend));
  EXPECT_EQ(barrier.code, 0) << barrier.err;
  EXPECT_THAT(barrier.out, HasSubstr("# Wrong elements: 0\n"));
}

TEST(Bench, ChecksEveryCollectiveOnThreads) { check_collectives("threads"); }
TEST(Bench, ChecksEveryCollectiveOnProcesses) { check_collectives("shm"); }

TEST(Bench, MeasuresMemory) {
  const TemporaryDirectory directory;
  const auto json = directory / "result.json";
  const auto result =
      shell(fmt::format(TUTTI_BENCH " memory -n 2 --size 64K --iters 2 --rounds 2 --json {}", json));
  ASSERT_EQ(result.code, 0) << result.err;
  const auto document = nlohmann::json::parse(read_file(json));
  ASSERT_EQ(document["rows"].size(), 8u);  // four loops, on one rank and on two
  for (const auto& row : document["rows"]) EXPECT_GT(row["gb_s"], 0);
  EXPECT_EQ(document["rows"][7]["loop"], "triad");
  EXPECT_EQ(document["rows"][7]["ranks"], 2);
}

#ifdef MPIRUN
TEST(Bench, MeasuresMpi) { check_backend("mpi", mpi_environment); }
TEST(Bench, ChecksEveryCollectiveOnMpi) { check_collectives("mpi"); }

// A run of `command` with --vs; returns its document.
nlohmann::json against(const std::string& command, int rows) {
  const TemporaryDirectory directory;
  const auto json = directory / "result.json";
  const auto result = shell(fmt::format("{}{} --json {}", mpi_environment, command, json));
  EXPECT_EQ(result.code, 0) << result.err;
  auto document = nlohmann::json::parse(read_file(json));
  EXPECT_EQ(document["rows"].size(), static_cast<std::size_t>(rows));
  for (const auto& run : document["runs"]) {
    EXPECT_EQ(run["rows"].size(), static_cast<std::size_t>(rows));
    for (const auto& row : run["rows"]) {
      EXPECT_GT(row["time_us"], 0);
      EXPECT_GT(row["peer_time_us"], 0);
      EXPECT_LE(row["ratio_min"], row["ratio"]);
      EXPECT_LE(row["ratio"], row["ratio_max"]);
      EXPECT_EQ(row["wrong"], 0);
      EXPECT_EQ(row["peer_wrong"], 0);
    }
  }
  return document;
}

TEST(Bench, MeasuresAPeerByTurns) {
  for (const char* buffers : {"", "--registered", "--out-of-place"}) {
    const auto document = against(
        fmt::format(TUTTI_BENCH " all_reduce -n 3 --vs mpi --settings installed {} {}", tiny, buffers), 3);
    EXPECT_EQ(document["backend"], "shm");
    EXPECT_THAT(document["peer"].get<std::string>(), HasSubstr("MPI"));
    for (const auto& row : document["rows"]) {
      EXPECT_GT(row["of_copy"], 0);
      EXPECT_EQ(row["as_it_is"]["tuning"], "installed");
      EXPECT_TRUE(row["tuned"].is_null());
    }
  }
}

TEST(Bench, MeasuresTheSameCollectiveOfThePeer) {
  for (const auto& expected : all_expected)
    against(fmt::format(TUTTI_BENCH " {} -n 3 --vs mpi --settings installed {}", expected.collective, tiny),
            3);
  against(TUTTI_BENCH " barrier -n 3 --vs mpi --settings installed --iters 5 --rounds 2", 1);
}

TEST(Bench, FindsTheBestSettingOfThePeer) {
  const auto document = against(fmt::format(TUTTI_BENCH " broadcast -n 2 --vs mpi {}", tiny), 3);
  if (document["runs"].size() == 1) GTEST_SKIP() << "no tuned setting works here";
  for (std::size_t i = 0; i < 3; ++i) {
    const auto& best = document["rows"][i]["tuned"];
    for (const auto& run : document["runs"]) {
      if (run["tuning"] == "installed") continue;
      EXPECT_LE(best["ratio"], run["rows"][i]["ratio"]) << run["tuning"];
    }
  }
}

TEST(Bench, MeasuresAPeerOnTheRanksThatAreThere) {
  const auto document = against(fmt::format("{} -n 2 " TUTTI_BENCH " all_reduce --vs mpi {}",
                                            mpirun.substr(mpirun.rfind(' ') + 1), tiny),
                                3);
  EXPECT_EQ(document["rows"][0]["as_it_is"]["tuning"], "as started");
}

TEST(Bench, SaysWhatAPeerLacks) {
  EXPECT_THAT(shell(TUTTI_RUN " -n 2 " TUTTI_BENCH " all_reduce --vs mpi").err,
              HasSubstr("MPI has 1 rank(s), Tutti 2: mpirun must start them"));
  EXPECT_THAT(shell(TUTTI_BENCH " all_reduce --vs mpi --backend threads").err,
              HasSubstr("--vs mpi needs processes"));
  EXPECT_THAT(shell(mpirun + " -n 1 " TUTTI_BENCH " all_reduce --vs mpi --dtype bf16").err,
              HasSubstr("MPI has no bf16"));
}
#endif

TEST(Bench, MeasuresGloo) {
  const auto result = shell(fmt::format(TUTTI_BENCH " all_reduce -n 2 --vs gloo {}", tiny));
  if (result.err.find("this build has no Gloo") != std::string::npos) GTEST_SKIP() << result.err;
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("# against Gloo (TCP)"));
  EXPECT_THAT(shell(TUTTI_BENCH " broadcast -n 1 --vs gloo").err, HasSubstr("measures all_reduce"));
}

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
