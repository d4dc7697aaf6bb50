// What is whole when: gathering, whole states, and what disturbs it.
#include "tests/parallel/training.h"
#include "tutti/core/error.h"

namespace tutti::test {
namespace {

struct Net : nn::Module {
  nn::Linear first, second;
  nn::BatchNorm2d norm{9};

  Net() : Net(Generator(1)) {}
  explicit Net(Generator rng) : first(4, 9, rng), second(9, 1, rng) {}
  Tensor forward(const Tensor& x) override {
    return second(tanh(norm(first(x).reshape({-1, 9, 1, 1})).reshape({-1, 9})));
  }
  void visit(nn::MemberVisitor& v) override {
    v.module("first", first);
    v.module("norm", norm);
    v.module("second", second);
  }
  Tensor loss(Generator& rng, int) { return mean(square((*this)(randn({5, 4}, rng)))); }
  Tensor loss() {
    Generator rng(3);
    return loss(rng, 0);
  }
};

DataParallelOptions sharding(Shard shard, std::size_t bytes = 100) {
  return {.first_bucket_bytes = bytes, .bucket_bytes = bytes, .shard = shard};
}

TEST(Gather, MakesParametersWholeAndTakesChangesOver) {
  for (const int size : {1, 2, 3}) {
    agreed(size, 3, [](Communicator& comm) {
      Net net;
      const std::string before = fingerprint(net.state_dict());
      DataParallel parallel(net, comm, sharding(Shard::parameters));
      EXPECT_THROW(net.first.weight.to_vector<float>(), Error);
      {
        auto outer = parallel.gather();
        {
          auto inner = parallel.gather();
          EXPECT_EQ(fingerprint(net.state_dict()), before);
        }
        EXPECT_EQ(fingerprint(net.state_dict()), before);
        if (comm.rank() == 0) net.eval()(ones({2, 4}));  // an evaluation by one of them
        net.train();
        net.first.weight.fill_(3);
        net.second.bias.fill_(4);
      }
      auto whole = parallel.gather();
      EXPECT_EQ(net.first.weight.to_vector<float>(), std::vector<float>(36, 3));
      EXPECT_EQ(net.second.bias.to_vector<float>(), std::vector<float>(1, 4));
      return fingerprint(net.state_dict());
    });
  }
}

TEST(Gather, EndsQuietlyWhenARankHasGivenUp) {
  on_ranks(2, [](Communicator& comm) {
    Net net;
    DataParallel parallel(net, comm, sharding(Shard::parameters));
    optim::SGD optimizer(parallel.parameters());
    parallel.backward(net.loss());
    auto whole = parallel.gather();
    if (comm.rank() == 0) return comm.abort("enough");
    EXPECT_THROW(parallel.step(optimizer), CommError);
  });
}

// Evaluations of every kind between the steps, which leave no trace but in the buffers.
TEST(Gather, EvaluationsDoNotDisturb) {
  for (const int size : {1, 2, 3}) {
    std::set<std::string> results;
    for (const Shard shard : all_shards) {
      for (const int kind : {0, 1, 2, 3}) {
        results.insert(agreed(size, 3, [&](Communicator& comm) {
          Net net;
          DataParallel parallel(net, comm, sharding(shard));
          optim::SGD optimizer(parallel.parameters());
          for (int step = 0; step < 3; ++step) {
            net.eval();
            if (kind == 1) net.loss();
            if (kind == 2) (NoGrad(), net.loss());
            if (kind == 3) {
              auto whole = parallel.gather();
              if (comm.rank() == 0) net.loss().backward();
            }
            net.train();
            for (const int v : parallel.micro_batches()) {
              Generator rng(static_cast<std::uint64_t>(v));
              const Tensor loss = net.loss(rng, v);
              if (kind == 2) (NoGrad(), net.eval(), net.loss(), net.train());
              parallel.backward(loss);
            }
            parallel.step(optimizer);
          }
          return fingerprint(parallel.full().state_dict());
        }));
      }
    }
    EXPECT_EQ(results.size(), 1u) << size;
  }
}

// Two steps, saved and loaded into others, and one more.
TEST(FullState, GoesFromAnyShardingToAnyOther) {
  std::set<std::string> results;
  for (const Shard from : all_shards) {
    for (const Shard to : all_shards) {
      results.insert(agreed(2, 2, [&](Communicator& comm) {
        const auto step = [](Net& net, DataParallel& parallel, optim::AdamW& optimizer) {
          parallel.backward(net.loss());
          parallel.step(optimizer);
        };
        Net one, two;
        DataParallel source(one, comm, sharding(from)), target(two, comm, sharding(to));
        optim::AdamW old(source.parameters()), fresh(target.parameters());
        for (int i = 0; i < 2; ++i) step(one, source, old);
        const auto model = source.full().state_dict(), state = source.full(old).state_dict();
        EXPECT_EQ(state[1].tensor.shape(), one.first.weight.shape());
        target.full().load_state_dict(model);
        target.full(fresh).load_state_dict(state);
        EXPECT_EQ(fingerprint(target.full(fresh).state_dict()), fingerprint(state));
        step(two, target, fresh);
        return fingerprint(target.full().state_dict());
      }));
    }
  }
  EXPECT_EQ(results.size(), 1u);
}

TEST(FullState, RefusesWhatDoesNotFitOnEveryRank) {
  agreed(2, 2, [&](Communicator& comm) {
    Net net;
    DataParallel parallel(net, comm, sharding(Shard::parameters));
    optim::AdamW optimizer(parallel.parameters());
    auto state = parallel.full(optimizer).state_dict();
    state.pop_back();
    EXPECT_THROW(parallel.full(optimizer).load_state_dict(state), DataError);
    auto model = parallel.full().state_dict();
    model[0].tensor = ones({2});
    EXPECT_THROW(parallel.full().load_state_dict(model), DataError);
    parallel.backward(net.loss());
    return "";
  });
}

TEST(Clip, IsThatOfOptimUnderEverySharding) {
  Net alone;
  alone.loss().backward();
  const double norm = optim::clip_grad_norm_(alone.parameters(), 0.1);
  EXPECT_GT(norm, 0.1);
  optim::SGD(alone.parameters(), {.lr = 1}).step();
  NamedTensors parameters = alone.state_dict();
  for (const Shard shard : all_shards) {
    for (const int size : {1, 2, 4}) {
      agreed(size, size, [&](Communicator& comm) {
        Net net;
        DataParallel parallel(net, comm, sharding(shard));
        optim::SGD optimizer(parallel.parameters(), {.lr = 1});
        parallel.backward(net.loss());  // the same on each: the mean is that of one
        EXPECT_EQ(parallel.clip_grad_norm_(0.1), norm);
        parallel.step(optimizer);
        EXPECT_EQ(fingerprint(parallel.full().state_dict()), fingerprint(parameters));
        return "";
      });
    }
  }
}

// Larger than a chunk of the sums, so that slices begin within parameters.
struct Wide : nn::Module {
  nn::Linear first, second;

  Wide() : Wide(Generator(1)) {}
  explicit Wide(Generator rng) : first(70, 90, rng), second(90, 40, rng) {}
  Tensor forward(const Tensor& x) override { return second(tanh(first(x))); }
  void visit(nn::MemberVisitor& v) override {
    v.module("first", first);
    v.module("second", second);
  }
  Tensor loss(Generator& rng, int) { return mean(square((*this)(randn({5, 70}, rng)))); }
};

TEST(Clip, IsThatOfOptimWhereSlicesBeginWithinParameters) {
  constexpr std::uint64_t rounds = 10;  // sums in another order are the same now and then
  std::vector<double> norms;
  Wide alone;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    Generator rng(round);
    alone.zero_grad();
    alone.loss(rng, 0).backward();
    norms.push_back(optim::clip_grad_norm_(alone.parameters(), 0.01));
  }
  for (const Shard shard : all_shards) {
    for (const int size : {2, 4, 8}) {
      agreed(size, size, [&](Communicator& comm) {
        Wide net;
        DataParallel parallel(net, comm, {.shard = shard});
        for (std::uint64_t round = 0; round < rounds; ++round) {
          Generator rng(round);
          parallel.backward(net.loss(rng, 0));
          EXPECT_EQ(parallel.clip_grad_norm_(0.01), norms[round]) << size << " " << static_cast<int>(shard);
        }
        return "";
      });
    }
  }
}

TEST(Models, WhoseSlicesBeginWithinParameters) { expect_same_bits<Wide>(); }

// A generator learns through a sharded discriminator, several times a step.
TEST(TwoModels, LearnThroughEachOther) {
  std::set<std::string> results;
  // A unit for each layer, and one for each model.
  for (const std::size_t bytes : {100, 10000}) {
    for (const Shard shard : all_shards) {
      for (const int size : {1, 2, 4}) {
        results.insert(agreed(size, 4, [&](Communicator& comm) {
          Generator rng(1);
          nn::Sequential makes(nn::Linear(3, 20, rng), nn::Tanh(), nn::Linear(20, 4, rng));
          nn::Sequential judges(nn::Linear(4, 20, rng), nn::Tanh(), nn::Linear(20, 1, rng));
          DataParallel maker(makes, comm, sharding(shard, bytes)),
              judge(judges, comm, sharding(shard, bytes));
          optim::SGD first(maker.parameters()), second(judge.parameters());
          for (int step = 0; step < 2; ++step) {
            for (const int v : judge.micro_batches()) {
              Generator noise(static_cast<std::uint64_t>(v));
              const Tensor fake = (NoGrad(), makes(randn({3, 3}, noise)));
              judge.backward(mean(square(judges(fake))) - mean(judges(randn({3, 4}, noise))));
            }
            judge.step(second);
            for (int again = 0; again < 2; ++again) {
              for (const int v : maker.micro_batches()) {
                Generator noise(100 + static_cast<std::uint64_t>(v));
                maker.backward(mean(square(judges(makes(randn({3, 3}, noise))))));
              }
              maker.step(first);
            }
          }
          return fingerprint(maker.full().state_dict()) + fingerprint(judge.full().state_dict());
        }));
      }
    }
  }
  EXPECT_EQ(results.size(), 1u);
}

}  // namespace
}  // namespace tutti::test
