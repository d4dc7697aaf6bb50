// The same bits on ranks that are processes, over each back end, as on one rank. A covering part of what can be
// combined; all of it with TUTTI_BITS=all.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstdlib>
#include <tuple>
#include <vector>

#include "tests/support/shell.h"

namespace {

using namespace tutti::test;

using ::testing::HasSubstr;

struct BackEnd {
  const char* name;
  const char* launcher;
};

struct Run {
  int ranks;
  const char* shard;
};

bool everything() { return std::getenv("TUTTI_BITS") != nullptr; }

std::vector<Run> runs() {
  if (!everything()) return {{2, "parameters"}, {3, "none"}, {4, "gradients"}};
  std::vector<Run> all;
  for (const int ranks : {1, 2, 3, 4, 8}) {
    for (const char* shard : {"none", "optimizer", "gradients", "parameters"}) all.push_back({ranks, shard});
  }
  return all;
}

// Of `steps` steps on ranks started by `launcher`.
Result train(const std::string& launcher, const char* model, const char* shard, int steps,
             const std::string& checkpoints = "") {
  return shell(fmt::format("TUTTI_LOGICAL_RANKS=8 {} " TRAIN " {} {} {} {}", launcher, model, shard, steps,
                           checkpoints));
}

class Bits : public ::testing::TestWithParam<std::tuple<const char*, BackEnd>> {};

TEST_P(Bits, AreThoseOfOneRank) {
  const auto [model, back_end] = GetParam();
  const int steps = everything() ? 50 : 12;
  const auto alone = train("", model, "none", steps);
  ASSERT_EQ(alone.code, 0) << alone.err;
  for (const auto& [ranks, shard] : runs()) {
    const auto result = train(fmt::format("{} -n {}", back_end.launcher, ranks), model, shard, steps);
    EXPECT_EQ(result.out, alone.out) << ranks << " ranks, sharded: " << shard << "\n" << result.err;
    EXPECT_THAT(result.err,
                HasSubstr(fmt::format("{} ranks over {}", ranks,
                                      ranks == 1 && back_end.name[0] == 's' ? "self" : back_end.name)));
  }
}

TEST_P(Bits, AreThoseOfARunThatWasInterrupted) {
  const auto [model, back_end] = GetParam();
  const int steps = everything() ? 50 : 12, first = everything() ? 20 : 5;
  const auto alone = train("", model, "none", steps);
  const TemporaryDirectory directory;
  const auto before =
      train(fmt::format("{} -n 4", back_end.launcher), model, "parameters", first, directory.path());
  EXPECT_EQ(before.code, 0) << before.err;
  const auto after =
      train(fmt::format("{} -n 3", back_end.launcher), model, "optimizer", steps, directory.path());
  EXPECT_EQ(after.out, alone.out) << after.err;
}

const BackEnd back_ends[] = {
    {"shm", TUTTI_RUN},
#ifdef MPIRUN
    {"mpi", MPIRUN},
#endif
};

INSTANTIATE_TEST_SUITE_P(, Bits,
                         ::testing::Combine(::testing::Values("mlp", "cnn", "gpt"),
                                            ::testing::ValuesIn(back_ends)),
                         [](const auto& info) {
                           return fmt::format("{}_{}", std::get<0>(info.param), std::get<1>(info.param).name);
                         });

}  // namespace
