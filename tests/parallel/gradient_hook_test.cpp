// How gradients travel on request.
#include <gmock/gmock.h>

#include "tests/parallel/training.h"
#include "tutti/core/error.h"
#include "tutti/core/tree.h"

namespace tutti::test {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

// Its gradient is what comes in.
struct SmallAndLarge : nn::Module {
  Tensor small = zeros({3}).set_requires_grad(), large = zeros({40}).set_requires_grad();

  Tensor forward(const Tensor& x) override {
    return sum(small * x.slice(0, 0, 3)) + sum(large * x.slice(0, 3, 43));
  }
  void visit(nn::MemberVisitor& v) override {
    v.parameter("small", small);
    v.parameter("large", large);
  }
};

Tensor gradient_of(int v) {
  Generator rng(static_cast<std::uint64_t>(v) + 1);
  return randn({43}, rng);
}

Tensor rounded(const Tensor& x) { return x.to(DType::bf16).to(DType::f32); }

// The tree over [first, first + count), each leaf and each sum of two rounded.
Tensor reference(int first, int count, int logical) {
  if (count == 1) return rounded(gradient_of(first) * static_cast<float>(1.0 / logical));
  const int left = static_cast<int>(left_leaves(static_cast<std::size_t>(count)));
  return rounded(reference(first, left, logical) + reference(first + left, count - left, logical));
}

TEST(Bf16Gradients, AreRoundedAtEachNodeOfTheTree) {
  for (const int logical : {1, 3, 4, 6, 8}) {
    const auto expected = reference(0, logical, logical).to_vector<float>();
    for (const Shard shard : all_shards) {
      for (int size = 1; size <= logical; ++size) {
        agreed(size, logical, [&](Communicator& comm) {
          SmallAndLarge net;
          DataParallel parallel(net, comm,
                                {.first_bucket_bytes = 20,
                                 .bucket_bytes = 20,
                                 .shard = shard,
                                 .hook = std::make_shared<Bf16Gradients>()});
          optim::SGD optimizer(parallel.parameters(), {.lr = 1});
          for (const int v : parallel.micro_batches()) parallel.backward(net(gradient_of(v)));
          parallel.step(optimizer);
          auto whole = parallel.gather();
          auto actual = net.small.to_vector<float>();
          for (const float one : net.large.to_vector<float>()) actual.push_back(one);
          for (std::size_t i = 0; i < expected.size(); ++i) {
            EXPECT_EQ(-actual[i], expected[i]) << i << ", " << size << " of " << logical;
          }
          return "";
        });
      }
    }
  }
}

TEST(Bf16Gradients, OfF64AreRefusedInAnyWorld) {
  for (const int size : {1, 2}) {
    agreed(size, 2, [](Communicator& comm) {
      nn::Linear net(3, 2, Generator(1));
      net.to(DType::f64);
      EXPECT_THAT([&] { DataParallel(net, comm, {.hook = std::make_shared<Bf16Gradients>()}); },
                  ThrowsMessage<DTypeError>(HasSubstr("gradients are f32, got f64")));
      return "";
    });
  }
}

// Sends every bucket as it is, by an all-gather, and counts.
struct Gathering : GradientHook {
  struct Way : Reduction {
    Gathering& hook;
    Tensor gradients;
    Communicator& comm;
    Tensor all;

    Way(Gathering& made_by, const Tensor& bucket, Communicator& group)
        : hook(made_by), gradients(bucket), comm(group), all(zeros({comm.size(), bucket.numel()})) {}
    void start() override { ++hook.started; }
    void finish() override {
      ++hook.finished;
      comm.all_gather(gradients, all);
      const auto add_up = [&](auto& self, int first, int count) -> Tensor {
        if (count == 1) return all.select(0, first);
        const int left = static_cast<int>(left_leaves(static_cast<std::size_t>(count)));
        return self(self, first, left) + self(self, first + left, count - left);
      };
      gradients.copy_(add_up(add_up, 0, comm.size()));
    }
    std::size_t bytes() const override { return 1000; }
  };

  int started = 0, finished = 0, rounds = 0;
  void round(const Tensor&) override { ++rounds; }
  std::unique_ptr<Reduction> reduction(const Tensor& gradients, Communicator& comm) override {
    return std::make_unique<Way>(*this, gradients, comm);
  }
};

TEST(GradientHook, OfTheUserReducesEveryBucket) {
  for (const Shard shard : all_shards) {
    std::set<std::string> results;
    for (const bool hooked : {false, true}) {
      results.insert(agreed(2, 4, [&](Communicator& comm) {
        SmallAndLarge net;
        const auto hook = std::make_shared<Gathering>();
        DataParallelOptions options{.first_bucket_bytes = 20, .bucket_bytes = 20, .shard = shard};
        if (hooked) options.hook = hook;
        DataParallel parallel(net, comm, options);
        optim::SGD optimizer(parallel.parameters());
        for (int step = 0; step < 2; ++step) {
          for (const int v : parallel.micro_batches()) parallel.backward(net(gradient_of(v)));
          parallel.step(optimizer);
        }
        const int buckets = static_cast<int>(parallel.stats().buckets);
        if (hooked) {
          EXPECT_EQ(hook->started, 2 * buckets);
          EXPECT_EQ(hook->finished, 2 * buckets);
          EXPECT_EQ(hook->rounds, 2 * buckets * (2 + 1));  // two leaves and their sum
          EXPECT_GE(parallel.stats().buffer_bytes, 1000u * static_cast<std::size_t>(buckets));
        }
        return fingerprint(parallel.full().state_dict());
      }));
    }
    EXPECT_EQ(results.size(), 1u) << static_cast<int>(shard);
  }
}

}  // namespace
}  // namespace tutti::test
