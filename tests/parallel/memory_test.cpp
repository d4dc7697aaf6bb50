// What a rank holds under each sharding, against the table in docs/data-parallel.md.
#include "tests/parallel/training.h"

namespace tutti::test {
namespace {

std::size_t bytes_of(const NamedTensors& tensors) {
  std::size_t sum = 0;
  for (const auto& [name, tensor] : tensors) sum += 4 * static_cast<std::size_t>(tensor.numel());
  return sum;
}

class Memory : public ::testing::TestWithParam<int> {};

void expect_near(std::size_t actual, double expected, const char* what) {
  EXPECT_GE(static_cast<double>(actual), 0.95 * expected) << what;
  EXPECT_LE(static_cast<double>(actual), 1.05 * expected) << what;
}

TEST_P(Memory, IsThatOfTheTable) {
  const int size = GetParam();
  for (const Shard shard : all_shards) {
    for (const bool recompute : {false, true}) {
      agreed(size, size, [&](Communicator& comm) {
        nn::Gpt model(
            {.vocabulary = 200, .layers = 4, .width = 96, .heads = 4, .context = 16, .recompute = recompute});
        const double p = static_cast<double>(bytes_of(model.parameters()));
        double block = 0;
        for (const auto& one : model.parameters()) {
          if (one.name.find(".h.0.") != std::string::npos) block += static_cast<double>(bytes_of({one}));
        }
        constexpr std::size_t bucket = 500000;  // a block is smaller, and two are larger
        DataParallel parallel(model, comm,
                              {.first_bucket_bytes = bucket, .bucket_bytes = bucket, .shard = shard});
        optim::AdamW optimizer(parallel.parameters());
        Generator rng(1);
        for (int step = 0; step < 2; ++step) {
          const Tensor tokens = randint(0, 200, {1, 16}, rng);
          parallel.backward(nn::cross_entropy(model(tokens), tokens));
          parallel.step(optimizer);
          if (step == 0) parallel.full().state_dict();  // what this takes, it gives back
        }
        const auto stats = parallel.stats();
        const double w = size, buffers = static_cast<double>(stats.buffer_bytes);
        switch (shard) {
          case Shard::none:
            expect_near(stats.parameter_bytes, p, "parameters");
            expect_near(stats.gradient_bytes, p, "gradients");
            EXPECT_EQ(stats.buffer_bytes, 0u);
            break;
          case Shard::optimizer:
            expect_near(stats.parameter_bytes, p, "parameters");
            expect_near(stats.gradient_bytes, p + (size == 1 ? 0 : p / w), "gradients");
            EXPECT_EQ(stats.buffer_bytes, 0u);
            break;
          case Shard::gradients:
            expect_near(stats.parameter_bytes, p, "parameters");
            expect_near(stats.gradient_bytes, p / w, "gradients");
            EXPECT_LE(buffers, 2.1 * bucket);
            EXPECT_GE(buffers, 1.5 * block);
            break;
          case Shard::parameters:
            expect_near(stats.parameter_bytes, p / w, "parameters");
            expect_near(stats.gradient_bytes, p / w, "gradients");
            // Two buckets, and whole at once: two blocks, the embedding that is the head, what is small.
            expect_near(stats.buffer_bytes, 2 * block + 2 * block + 4 * 200 * 96, "buffers");
            break;
        }
        const double moments = static_cast<double>(bytes_of(optimizer.state_dict()));
        expect_near(static_cast<std::size_t>(moments), shard == Shard::none ? 2 * p : 2 * p / w, "optimizer");
        return "";
      });
    }
  }
}

INSTANTIATE_TEST_SUITE_P(, Memory, ::testing::Values(1, 2, 4));

}  // namespace
}  // namespace tutti::test
