// A run that is interrupted and resumed is the run that was not, bit for bit.
#include <gtest/gtest.h>

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

// Trains up to step `steps`, from where the checkpoints in `directory` end if there are any; gives the losses.
std::vector<float> train(Communicator& world, const std::string& text, const std::string& directory,
                         std::int64_t steps, NamedTensors& weights) {
  data::TextLoader batches(text, {.batch = 4, .context = 8, .seed = 5}, world);
  const auto vocabulary = static_cast<std::int64_t>(batches.vocabulary().size());
  nn::Gpt model(
      {.vocabulary = vocabulary, .layers = 1, .width = 8, .heads = 2, .context = 8, .dropout = 0.3});
  optim::AdamW optimizer(model.parameters(), {.lr = 1e-2});
  DataParallel parallel(model, world);
  Checkpointer checkpoints(directory, world, {.every_steps = 4});
  auto state = TrainState{model, optimizer, batches};
  std::vector<float> losses;
  for (auto step = checkpoints.restore(state); step < steps; ++step) {
    const auto [tokens, targets] = batches.next();
    const auto loss = nn::cross_entropy(model(tokens), targets);
    parallel.backward(loss);
    optimizer.step();
    optimizer.zero_grad();
    checkpoints.save(step, state);
    losses.push_back(loss.item());
  }
  weights = model.state_dict();
  return losses;
}

class Resume : public testing::TestWithParam<int> {};

TEST_P(Resume, IsBitForBitTheRunThatWasNotInterrupted) {
  const test::TemporaryDirectory directory;
  std::string text;
  for (int i = 0; i < 200; ++i) text += "the quick brown fox " + std::to_string(i * i);
  test::write_file(directory / "text", text);
  test::on_ranks(GetParam(), [&](Communicator& world) {
    NamedTensors whole, parts;
    const auto expected = train(world, directory / "text", directory / "whole", 12, whole);
    train(world, directory / "text", directory / "parts", 6, parts);  // the last two steps are lost
    const auto resumed = train(world, directory / "text", directory / "parts", 12, parts);
    EXPECT_EQ(resumed, std::vector<float>(expected.begin() + 4, expected.end()));
    ASSERT_EQ(whole.size(), parts.size());
    for (std::size_t i = 0; i < whole.size(); ++i) {
      EXPECT_EQ(parts[i].tensor.to_vector<float>(), whole[i].tensor.to_vector<float>()) << whole[i].name;
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Ranks, Resume, testing::Values(1, 2));

}  // namespace
}  // namespace tutti
