#include <gtest/gtest.h>

#include "tests/support/ranks.h"
#include "tutti/tutti.h"

namespace tutti {
namespace {

// The weights after some steps on two ranks, in buckets of a few parameters each.
std::vector<std::vector<float>> train(bool recompute) {
  std::vector<std::vector<float>> weights;
  test::on_ranks(2, [&](Communicator& comm) {
    nn::Gpt model({.vocabulary = 7,
                   .layers = 2,
                   .width = 16,
                   .heads = 2,
                   .context = 8,
                   .dropout = 0.1,
                   .recompute = recompute,
                   .seed = 1});
    DataParallel parallel(model, comm, {.first_bucket_bytes = 1024, .bucket_bytes = 4096});
    optim::AdamW optimizer(model.parameters(), {.lr = 1e-2});
    Generator rng(10 + static_cast<std::uint64_t>(comm.rank()));
    for (int step = 0; step < 3; ++step) {
      const Tensor tokens = randint(0, 7, {2, 8}, rng);
      parallel.backward(cross_entropy(model(tokens), tokens));
      optimizer.step();
      optimizer.zero_grad();
    }
    if (comm.rank() != 0) return;
    for (const auto& [name, tensor] : model.parameters()) weights.push_back(tensor.to_vector<float>());
  });
  return weights;
}

TEST(DataParallel, TrainsRecomputedModulesToTheSameBits) { EXPECT_EQ(train(true), train(false)); }

}  // namespace
}  // namespace tutti
