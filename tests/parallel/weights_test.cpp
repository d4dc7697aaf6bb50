// Micro-batches that are not all of one size.
#include "tests/parallel/training.h"

namespace tutti::test {
namespace {

struct WeightedNet : nn::Module {
  nn::Linear first, second;

  WeightedNet() : WeightedNet(Generator(1)) {}
  explicit WeightedNet(Generator rng) : first(4, 30, rng), second(30, 1, rng) {}
  Tensor forward(const Tensor& x) override { return second(tanh(first(x))); }
  void visit(nn::MemberVisitor& v) override {
    v.module("first", first);
    v.module("second", second);
  }
};

Tensor samples() {
  Generator rng(5);
  return randn({12, 4}, rng);
}

// Not a number without samples.
Tensor loss_of(WeightedNet& net, const Tensor& x) {
  return sum(square(net(x))) * (1.0 / static_cast<double>(x.size(0)));
}

// The weights after a step of gradient descent, in which logical rank v has `counts[v]` of the samples.
std::vector<float> step(int size, const std::vector<int>& counts, Shard shard) {
  std::vector<float> weights;
  agreed(size, static_cast<int>(counts.size()), [&](Communicator& comm) {
    WeightedNet net;
    DataParallel parallel(net, comm, {.first_bucket_bytes = 100, .bucket_bytes = 100, .shard = shard});
    optim::SGD optimizer(parallel.parameters(), {.lr = 1});
    for (const int v : parallel.micro_batches()) {
      const auto count = counts[static_cast<std::size_t>(v)];
      const auto first = std::accumulate(counts.begin(), counts.begin() + v, 0);
      const Tensor loss = loss_of(net, samples().slice(0, first, first + count));
      parallel.backward(loss, count * static_cast<double>(counts.size()) / 12);
    }
    parallel.step(optimizer);
    const NamedTensors state = parallel.full().state_dict();
    if (comm.rank() == 0) {
      for (const auto& [name, tensor] : state) {
        for (const float one : tensor.to_vector<float>()) weights.push_back(one);
      }
    }
    return fmt::format("{:a} {}", parallel.loss(), fingerprint(state));
  });
  return weights;
}

TEST(Weights, OfMicroBatchesMakeTheGlobalMean) {
  WeightedNet whole;
  loss_of(whole, samples()).backward();
  std::vector<float> expected;
  for (auto& [name, tensor] : whole.parameters()) {
    tensor.add_(tensor.grad(), -1);
    for (const float one : tensor.to_vector<float>()) expected.push_back(one);
  }
  for (const auto& counts : {std::vector{1, 5, 4, 2}, std::vector{0, 5, 4, 3}, std::vector{4, 5, 3, 0},
                             std::vector{0, 0, 12, 0}}) {
    const auto alone = step(1, counts, Shard::none);
    ASSERT_EQ(alone.size(), expected.size());
    for (std::size_t i = 0; i < alone.size(); ++i) EXPECT_NEAR(alone[i], expected[i], 1e-6);
    for (const Shard shard : all_shards) {
      for (const int size : {1, 2, 3, 4}) {
        EXPECT_EQ(step(size, counts, shard), alone) << size << " ranks, sharding " << static_cast<int>(shard);
      }
    }
  }
}

TEST(Weights, ASampleLessLossOfAShardedModelIsNeeded) {
  EXPECT_THROW(agreed(2, 2,
                      [](Communicator& comm) {
                        WeightedNet net;
                        DataParallel parallel(net, comm, {.shard = Shard::parameters});
                        const Tensor loss = loss_of(net, samples());
                        comm.rank() == 0 ? parallel.backward({}, 0) : parallel.backward(loss);
                        return "";
                      }),
               AutogradError);
}

// The parts of a micro-batch, of which one has no samples.
TEST(Weights, OfPartsOfAMicroBatch) {
  for (const Shard shard : all_shards) {
    std::set<std::string> results;
    for (const int size : {1, 2, 4}) {
      results.insert(agreed(size, 4, [&](Communicator& comm) {
        WeightedNet net;
        DataParallel parallel(net, comm, {.first_bucket_bytes = 100, .bucket_bytes = 100, .shard = shard});
        optim::SGD optimizer(parallel.parameters(), {.lr = 1});
        for (const int v : parallel.micro_batches()) {
          {
            auto local = parallel.no_sync();
            parallel.backward(loss_of(net, samples().slice(0, v, v + 3)), 0.5);
            parallel.backward(loss_of(net, samples().slice(0, v, v + 2)), 0.5);
          }
          parallel.backward(loss_of(net, samples().slice(0, 0, 0)), 0);
        }
        parallel.step(optimizer);
        return fingerprint(parallel.full().state_dict());
      }));
    }
    EXPECT_EQ(results.size(), 1u) << static_cast<int>(shard);
  }
}

}  // namespace
}  // namespace tutti::test
