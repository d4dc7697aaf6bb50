// Every loss and its gradient against PyTorch: losses.py has the same cases.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/golden/cases.h"
#include "tutti/autograd/loss.h"

namespace tutti {
namespace {

using test::Case;
using test::Inputs;

const Case loss_cases[] = {
    TUTTI_CASE("cross_entropy", cross_entropy(in[0], in[1])),
    TUTTI_CASE("cross_entropy_i32", cross_entropy(in[0], in[1])),
    TUTTI_CASE("cross_entropy_large", cross_entropy(in[0], in[1])),
    TUTTI_CASE("cross_entropy_batched", cross_entropy(in[0], in[1])),
    TUTTI_CASE("cross_entropy_sum", cross_entropy(in[0], in[1], {.reduction = Reduction::sum})),
    TUTTI_CASE("cross_entropy_none", cross_entropy(in[0], in[1], {.reduction = Reduction::none})),
    TUTTI_CASE("cross_entropy_ignore", cross_entropy(in[0], in[1])),
    TUTTI_CASE("cross_entropy_ignore_2", cross_entropy(in[0], in[1], {.ignore_index = 2})),
    TUTTI_CASE("cross_entropy_smooth", cross_entropy(in[0], in[1], {.label_smoothing = 0.1})),
    TUTTI_CASE("cross_entropy_smooth_ignore", cross_entropy(in[0], in[1], {.label_smoothing = 0.2})),
    TUTTI_CASE("mse", mse_loss(in[0], in[1])),
    TUTTI_CASE("mse_sum", mse_loss(in[0], in[1], Reduction::sum)),
    TUTTI_CASE("mse_none", mse_loss(in[0], in[1], Reduction::none)),
    TUTTI_CASE("bce", binary_cross_entropy_with_logits(in[0], in[1])),
    TUTTI_CASE("bce_large", binary_cross_entropy_with_logits(in[0], in[1])),
    TUTTI_CASE("bce_sum", binary_cross_entropy_with_logits(in[0], in[1], Reduction::sum)),
    TUTTI_CASE("bce_none", binary_cross_entropy_with_logits(in[0], in[1], Reduction::none)),
};

const test::Goldens& loss_goldens() {
  static const test::Goldens goldens(TUTTI_GOLDEN "/losses.safetensors");
  return goldens;
}

class Losses : public testing::TestWithParam<Case> {};

TEST_P(Losses, Equal) { test::expect_equal(GetParam(), loss_goldens()); }

INSTANTIATE_TEST_SUITE_P(PyTorch, Losses, testing::ValuesIn(loss_cases),
                         [](const auto& info) { return info.param.name; });

TEST(LossesTable, HasAllThatPyTorchComputed) {
  std::vector<std::string> names;
  for (const Case& one : loss_cases) names.emplace_back(one.name);
  EXPECT_THAT(names, testing::UnorderedElementsAreArray(loss_goldens().cases()));
}

}  // namespace
}  // namespace tutti
