// A run that is interrupted and resumed, in the same world or another, is the run that was not, bit for bit.
#include <gtest/gtest.h>

#include <utility>

#include "tests/support/files.h"
#include "tests/support/ranks.h"
#include "tutti/checkpoint/checkpointer.h"
#include "tutti/data/text_loader.h"
#include "tutti/nn/gpt.h"
#include "tutti/nn/loss.h"
#include "tutti/optim/adam.h"
#include "tutti/parallel/data_parallel.h"

namespace tutti {
namespace {

// How a run went on, as rank 0 saw it.
struct Outcome {
  std::vector<double> losses;
  std::string fingerprint;
};

// Trains up to step `steps` on `size` ranks, from where the checkpoints in `directory` end if there are any.
Outcome train(int size, const std::string& text, const std::string& directory, std::int64_t steps) {
  Outcome run;
  test::on_ranks(size, [&](Communicator& world) {
    world.set_logical_ranks(4);
    data::TextLoader batches(text, {.batch = 4, .context = 8, .seed = 5}, world);
    const auto vocabulary = static_cast<std::int64_t>(batches.vocabulary().size());
    nn::Gpt model(
        {.vocabulary = vocabulary, .layers = 1, .width = 8, .heads = 2, .context = 8, .dropout = 0.3});
    DataParallel parallel(model, world);
    optim::AdamW optimizer(parallel.parameters(), {.lr = 1e-2});
    Checkpointer checkpoints(directory, world, {.every_steps = 4});
    auto state = TrainState{model, optimizer, batches};
    std::vector<double> losses;
    for (auto step = checkpoints.restore(state); step < steps; ++step) {
      for ([[maybe_unused]] const int v : parallel.micro_batches()) {
        const auto [tokens, targets] = batches.next();
        parallel.backward(nn::cross_entropy(model(tokens), targets));
      }
      parallel.step(optimizer);
      checkpoints.save(step, state);
      losses.push_back(parallel.loss());
    }
    if (world.rank() == 0) run = {losses, fingerprint(state)};
  });
  return run;
}

// On how many ranks a run begins, and on how many it goes on.
class Resume : public testing::TestWithParam<std::pair<int, int>> {};

TEST_P(Resume, IsBitForBitTheRunThatWasNotInterrupted) {
  const test::TemporaryDirectory directory;
  std::string text;
  for (int i = 0; i < 200; ++i) text += "the quick brown fox " + std::to_string(i * i);
  test::write_file(directory / "text", text);
  const auto [first, then] = GetParam();
  const auto whole = train(1, directory / "text", directory / "whole", 12);
  train(first, directory / "text", directory / "parts", 6);  // the last two steps are lost
  const auto resumed = train(then, directory / "text", directory / "parts", 12);
  EXPECT_EQ(resumed.losses, std::vector<double>(whole.losses.begin() + 4, whole.losses.end()));
  EXPECT_EQ(resumed.fingerprint, whole.fingerprint);
}

INSTANTIATE_TEST_SUITE_P(Ranks, Resume,
                         testing::Values(std::pair(1, 1), std::pair(2, 2), std::pair(1, 4), std::pair(4, 3),
                                         std::pair(3, 2)),
                         [](const auto& info) {
                           return std::to_string(info.param.first) + "then" +
                                  std::to_string(info.param.second);
                         });

}  // namespace
}  // namespace tutti
