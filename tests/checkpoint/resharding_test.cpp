// A checkpoint of any number of ranks, sharded in any way, goes on on any other; each rank reads what it needs of it.
// TUTTI_RESHARDING=all tries all of them, on a state large enough for the overhead of reading to be told.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/support/files.h"
#include "tests/support/ranks.h"
#include "tutti/checkpoint/checkpointer.h"
#include "tutti/nn/linear.h"
#include "tutti/nn/loss.h"
#include "tutti/nn/sequential.h"
#include "tutti/optim/adam.h"
#include "tutti/parallel/data_parallel.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

constexpr Shard modes[] = {Shard::none, Shard::optimizer, Shard::gradients, Shard::parameters};
constexpr int worlds[] = {1, 2, 3, 4, 8};

bool all_of_them() {
  const auto* set = std::getenv("TUTTI_RESHARDING");
  return set && std::string(set) == "all";
}

// A run with one step behind it, on data that `scale` makes.
class Run {
 public:
  Run(Communicator& world, Shard shard, float scale)
      : model_(a_model()), parallel_(model_, world, {.shard = shard}), optimizer_(parallel_.parameters()) {
    for (const int v : parallel_.micro_batches())
      parallel_.backward(
          mse_loss(model_(full({1, width}, scale * static_cast<float>(v + 1))), zeros({1, 2})));
    parallel_.step(optimizer_);
  }

  const TrainState& state() const { return state_; }
  std::uint64_t bytes() const {
    std::uint64_t sum = 0;
    for (const auto& tensor : state_.shards())
      sum += static_cast<std::uint64_t>(tensor.local.numel()) * size_of(tensor.local.dtype());
    return sum;
  }

 private:
  static constexpr std::int64_t width = TEST_SLOWDOWN > 1 ? 64 : 512;

  static nn::Sequential a_model() {
    const std::int64_t hidden = all_of_them() ? 16380 : 510;
    Generator rng(1);
    return nn::Sequential(nn::Linear(width, hidden, rng), nn::Linear(hidden, 2, rng));
  }

  nn::Sequential model_;
  DataParallel parallel_;
  optim::AdamW optimizer_;
  DataParallel::FullModel full_model_ = parallel_.full();
  DataParallel::FullState full_optimizer_ = parallel_.full(optimizer_);
  TrainState state_{full_model_, full_optimizer_};
};

std::string save(const std::string& directory, int ranks, Shard shard) {
  std::string saved;
  test::on_ranks(ranks, [&](Communicator& world) {
    world.set_logical_ranks(8);
    const Run run(world, shard, 1);
    Checkpointer(directory, world).save_now(0, run.state()).wait();
    const auto now = fingerprint(run.state());
    if (world.rank() == 0) saved = now;
  });
  return saved;
}

void load(const std::string& directory, int ranks, Shard shard, const std::string& saved) {
  test::on_ranks(ranks, [&](Communicator& world) {
    world.set_logical_ranks(8);
    const Run run(world, shard, 2);
    const auto before = fingerprint(run.state());
    Checkpointer checkpoints(directory, world);
    EXPECT_EQ(checkpoints.restore(run.state()), 1);
    const auto loaded = fingerprint(run.state());
    EXPECT_NE(before, saved);
    EXPECT_EQ(loaded, saved) << ranks << " ranks, mode " << static_cast<int>(shard);
    // Whole chunks are read, of each stretch of bytes: in a small state, that is much.
    const std::uint64_t ends = all_of_them() ? 0 : 1 << 20;
    EXPECT_LE(checkpoints.restored().bytes_read, run.bytes() + run.bytes() / 20 + ends);
  });
}

class Resharding : public testing::TestWithParam<int> {};

TEST_P(Resharding, GivesTheSameStateToAnyWorld) {
  const int from = GetParam();
  for (int m = 0; m < 4; ++m) {
    const test::TemporaryDirectory directory;
    const auto saved = save(directory.path().string(), from, modes[m]);
    for (const int to : worlds) {
      for (int n = 0; n < 4; ++n) {
        if (!all_of_them() && (from + m) % 4 != (to + n) % 4) continue;
        SCOPED_TRACE(testing::Message() << from << " ranks, mode " << m << ", to " << to << ", mode " << n);
        load(directory.path().string(), to, modes[n], saved);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(From, Resharding, testing::ValuesIn(worlds));

}  // namespace
}  // namespace tutti
