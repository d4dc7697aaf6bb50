// Errors and deaths in the middle of a step: an error for every rank, and nobody waits for ever.
#include <gmock/gmock.h>

#include <signal.h>

#include "tests/comm/processes.h"
#include "tests/parallel/training.h"
#include "tutti/core/error.h"

namespace tutti::test {
namespace {

using ::testing::HasSubstr;

struct ThreeLayers : nn::Module {
  nn::Linear first, second, third;
  nn::Dropout dropout;
  std::function<void()> in_forward;

  ThreeLayers() : ThreeLayers(Generator(1)) {}
  explicit ThreeLayers(Generator rng)
      : first(6, 40, rng), second(40, 40, rng), third(40, 1, rng), dropout(0.2, rng) {}
  Tensor forward(const Tensor& x) override {
    const Tensor y = tanh(second(tanh(first(x))));
    if (in_forward) in_forward();
    return third(dropout(y));
  }
  void visit(nn::MemberVisitor& v) override {
    v.module("first", first);
    v.module("second", second);
    v.module("third", third);
    v.module("dropout", dropout);
  }
  Tensor loss() { return mean(square((*this)(ones({2, 6})))); }
};

DataParallelOptions by_500_bytes(Shard shard) {
  return {.first_bucket_bytes = 500, .bucket_bytes = 500, .shard = shard};
}

class Failure : public ::testing::TestWithParam<Shard> {};

TEST_P(Failure, OfOneRankInForwardOrBackwardReachesTheOthers) {
  for (const bool in_forward : {true, false}) {
    std::mutex mutex;
    std::vector<std::string> errors;
    on_ranks(3, [&](Communicator& comm) {
      comm.set_logical_ranks(3);
      const auto fail = [&] {
        if (comm.rank() == 1) throw std::runtime_error("rank 1 has had enough");
      };
      bool armed = false;
      ThreeLayers net;
      if (in_forward) {
        net.in_forward = [&] { armed ? fail() : void(); };
      } else {
        net.second.weight.register_grad_hook([&](Tensor&) { armed ? fail() : void(); });
      }
      try {
        // What is under way ends with it.
        DataParallel parallel(net, comm, by_500_bytes(GetParam()));
        optim::SGD optimizer(parallel.parameters());
        for (int step = 0; step < 3; ++step) {
          armed = step == 1;
          parallel.backward(net.loss());
          parallel.step(optimizer);
        }
      } catch (const std::exception& error) {
        std::scoped_lock lock(mutex);
        errors.push_back(error.what());
        comm.abort(error.what());  // as the end of the program would
      }
    });
    EXPECT_THAT(errors, ::testing::SizeIs(3));
    EXPECT_THAT(errors, ::testing::Each(HasSubstr("rank 1 has had enough")));
  }
}

TEST_P(Failure, OfALoneRankLeavesTheStepAsIfItHadNotBegun) {
  std::set<std::string> results;
  for (bool fails : {true, false}) {
    Communicator alone;
    alone.set_logical_ranks(GetParam() == Shard::gradients ? 1 : 2);
    ThreeLayers net;
    bool armed = false;
    net.first.weight.register_grad_hook([&](Tensor&) {
      if (armed) throw std::runtime_error("not this one");
    });
    DataParallel parallel(net, alone, by_500_bytes(GetParam()));
    optim::SGD optimizer(parallel.parameters());
    const auto step = [&] {
      for ([[maybe_unused]] const int v : parallel.micro_batches()) {
        parallel.backward(net.loss());
        armed = fails && parallel.stats().steps == 1;
      }
      parallel.step(optimizer);
    };
    step();
    armed = fails && alone.logical_ranks().count() == 1;
    if (fails) {
      EXPECT_THROW(step(), std::runtime_error);
      armed = fails = false;
    }
    step();
    results.insert(fmt::format("{:a} {}", parallel.loss(), fingerprint(parallel.full().state_dict())));
  }
  EXPECT_EQ(results.size(), 1u);
}

TEST_P(Failure, OfAProcessInTheMiddleOfBackwardIsToldByTheOthers) {
  Processes ranks(3, [](Communicator& comm) -> std::string {
    comm.set_timeout(std::chrono::seconds(60));
    comm.set_logical_ranks(3);
    ThreeLayers net;
    DataParallel parallel(net, comm, by_500_bytes(GetParam()));
    optim::SGD optimizer(parallel.parameters());
    net.second.weight.register_grad_hook([&](Tensor&) {
      if (comm.rank() == 1 && parallel.stats().steps == 2) ::raise(SIGKILL);
    });
    for (int step = 0; step < 5; ++step) {
      parallel.backward(net.loss());
      parallel.step(optimizer);
    }
    return "all went well";
  });
  EXPECT_EQ(ranks.report(1), "");
  for (const int rank : {0, 2}) EXPECT_THAT(ranks.report(rank), HasSubstr("CommError rank=1"));
}

TEST_P(Failure, OfARankThatStopsIsATimeout) {
  Processes ranks(2, [](Communicator& comm) -> std::string {
    comm.set_timeout(std::chrono::milliseconds(500 * TEST_SLOWDOWN));
    ThreeLayers net;
    DataParallel parallel(net, comm, by_500_bytes(GetParam()));
    net.second.weight.register_grad_hook([&](Tensor&) {
      if (comm.rank() == 1) ::raise(SIGSTOP);
    });
    parallel.backward(net.loss());
    return "all went well";
  });
  EXPECT_THAT(ranks.report(0), HasSubstr("TimeoutError rank=1"));
}

TEST_P(Failure, NotANumberIsNoError) {
  agreed(2, 2, [](Communicator& comm) {
    ThreeLayers net;
    DataParallel parallel(net, comm, by_500_bytes(GetParam()));
    optim::SGD optimizer(parallel.parameters());
    for (int step = 0; step < 2; ++step) {
      parallel.backward(net.loss() * (comm.rank() == 1 ? std::nan("") : 1.0));
      EXPECT_TRUE(std::isnan(parallel.loss()));
      EXPECT_TRUE(std::isnan(parallel.clip_grad_norm_(1)));
      parallel.step(optimizer);
    }
    return "";
  });
}

INSTANTIATE_TEST_SUITE_P(, Failure, ::testing::ValuesIn(all_shards),
                         [](const auto& info) { return std::to_string(info.index); });

}  // namespace
}  // namespace tutti::test
