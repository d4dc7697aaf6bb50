// A model trained by one rank and by several, over each back end that has processes: the losses agree.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <sstream>
#include <tuple>

#include "tests/support/shell.h"

namespace {

using namespace tutti::test;

using ::testing::HasSubstr;

std::vector<double> losses_of(const Result& result) {
  std::vector<double> losses;
  std::istringstream lines(result.out);
  for (double loss; lines >> loss;) losses.push_back(loss);
  return losses;
}

struct BackEnd {
  const char* name;
  const char* launcher;
};

class Training : public ::testing::TestWithParam<std::tuple<const char*, BackEnd>> {};

TEST_P(Training, IsThatOfOneRank) {
  const auto [model, back_end] = GetParam();
  const auto alone = losses_of(shell(fmt::format(TRAIN " {}", model)));
  ASSERT_EQ(alone.size(), 20u);
  EXPECT_LT(alone.back(), 0.9 * alone.front());
  for (const int ranks : {2, 4}) {
    const auto result = shell(fmt::format("{} -n {} " TRAIN " {}", back_end.launcher, ranks, model));
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_THAT(result.err, HasSubstr(fmt::format("{} ranks over {}", ranks, back_end.name)));
    const auto losses = losses_of(result);
    ASSERT_EQ(losses.size(), alone.size());
    for (std::size_t step = 0; step < alone.size(); ++step) {
      EXPECT_NEAR(losses[step], alone[step], 1e-6 * alone[step]) << ranks << " ranks, step " << step;
    }
  }
}

const BackEnd back_ends[] = {
    {"shm", TUTTI_RUN},
#ifdef MPIRUN
    {"mpi", MPIRUN},
#endif
};

INSTANTIATE_TEST_SUITE_P(, Training,
                         ::testing::Combine(::testing::Values("mlp", "gpt"), ::testing::ValuesIn(back_ends)),
                         [](const auto& info) {
                           return fmt::format("{}_{}", std::get<0>(info.param), std::get<1>(info.param).name);
                         });

}  // namespace
