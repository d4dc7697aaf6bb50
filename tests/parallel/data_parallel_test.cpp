#include "tutti/parallel/data_parallel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include "tests/support/ranks.h"
#include "tutti/core/error.h"
#include "tutti/tutti.h"

namespace tutti {
namespace {

using test::on_ranks;
using testing::HasSubstr;
using testing::ThrowsMessage;

// Two layers, and one that is used on request.
struct Net : nn::Module {
  Tensor first, second, spare;
  bool use_spare = false;

  explicit Net(std::uint64_t seed, std::int64_t width = 8) {
    Generator rng(seed);
    first = randn({4, width}, rng).set_requires_grad();
    second = randn({width, 1}, rng).set_requires_grad();
    spare = ones({1}).set_requires_grad();
  }
  Tensor forward(const Tensor& x) override {
    const Tensor y = matmul(tanh(matmul(x, first)), second);
    return use_spare ? y * spare : y;
  }
  void visit(nn::MemberVisitor& v) override {
    v.parameter("first", first);
    v.parameter("second", second);
    v.parameter("spare", spare);
  }
};

Tensor batch(int step) {
  Generator rng(100 + static_cast<std::uint64_t>(step));
  return randn({24, 4}, rng);
}

Tensor loss_of(Net& net, const Tensor& x) { return mean(square(net(x) - sum(x, {1}, true))); }

// 20 steps of gradient descent on `size` ranks; the global loss at each.
std::vector<double> train(int size, const DataParallelOptions& options, bool accumulate = false) {
  std::vector<double> losses;
  on_ranks(size, [&](Communicator& comm) {
    comm.set_logical_ranks(size);
    Net net(static_cast<std::uint64_t>(comm.rank()));  // other weights on each rank, until they are broadcast
    net.use_spare = true;
    DataParallel parallel(net, comm, options);
    for (int step = 0; step < 20; ++step) {
      const std::int64_t share = 24 / size;
      const Tensor x = batch(step).slice(0, comm.rank() * share, (comm.rank() + 1) * share);
      double loss = 0;
      if (accumulate) {
        const Tensor half = loss_of(net, x.slice(0, 0, share / 2)) * 0.5;
        const Tensor rest = loss_of(net, x.slice(0, share / 2, share)) * 0.5;
        {
          auto local = parallel.no_sync();
          parallel.backward(half);
        }
        parallel.backward(rest);
        loss = half.item<double>() + rest.item<double>();
      } else {
        const Tensor whole = loss_of(net, x);
        parallel.backward(whole);
        loss = whole.item<double>();
      }
      std::vector<double> total{loss};
      comm.all_reduce(total, ReduceOp::avg);
      if (comm.rank() == 0) losses.push_back(total[0]);
      for (auto& [name, parameter] : net.parameters()) {
        parameter.add_(parameter.grad(), -0.05);
      }
    }
  });
  return losses;
}

TEST(DataParallel, TrainsAsOneRankDoes) {
  const auto serial = train(1, {});
  EXPECT_LT(serial.back(), serial.front() * 0.5);
  for (const int size : {2, 3, 4}) {
    for (const std::size_t bytes : {std::size_t{1}, std::size_t{64}, std::size_t{1} << 20}) {
      const auto together = train(size, {.first_bucket_bytes = bytes, .bucket_bytes = bytes});
      ASSERT_EQ(together.size(), serial.size());
      for (std::size_t i = 0; i < serial.size(); ++i)
        EXPECT_NEAR(together[i], serial[i], 1e-6 * serial[i]) << size;
    }
  }
}

TEST(DataParallel, AccumulatesWithoutReducing) {
  const auto serial = train(1, {});
  const auto accumulated = train(2, {}, true);
  for (std::size_t i = 0; i < serial.size(); ++i) EXPECT_NEAR(accumulated[i], serial[i], 1e-6 * serial[i]);
}

TEST(DataParallel, NamesParametersWithoutGradient) {
  EXPECT_THAT(
      [] {
        on_ranks(2, [](Communicator& comm) {
          Net net(0);
          DataParallel parallel(net, comm);
          parallel.backward(loss_of(net, batch(0)));
        });
      },
      ThrowsMessage<AutogradError>(HasSubstr("no gradient reached spare")));
}

// It is missing in the sum of all.
TEST(DataParallel, TellsAllOfAGradientThatOneRankMisses) {
  on_ranks(4, [](Communicator& comm) {
    Net net(0);
    net.use_spare = comm.rank() != 1;
    DataParallel parallel(net, comm);
    EXPECT_THAT([&] { parallel.backward(loss_of(net, batch(0))); },
                ThrowsMessage<AutogradError>(
                    HasSubstr(comm.rank() == 1 ? "no gradient reached spare" : "some parameters on rank 1")));
    net.use_spare = true;
    parallel.backward(loss_of(net, batch(0)));  // all are where they were
  });
}

TEST(DataParallel, CountsUnusedAsZeroWhereAllowed) {
  on_ranks(2, [](Communicator& comm) {
    Net net(0);
    net.use_spare = comm.rank() == 0;  // one rank has a gradient, the other none
    DataParallel parallel(net, comm, {.allow_unused = true});
    parallel.backward(loss_of(net, batch(0)));
    Net alone(0);
    alone.use_spare = true;
    loss_of(alone, batch(0)).backward();
    EXPECT_FLOAT_EQ(net.spare.grad().item(), alone.spare.grad().item() / 2);
  });
}

TEST(DataParallel, RefusesModelsThatDiffer) {
  EXPECT_THAT(
      [] {
        on_ranks(3, [](Communicator& comm) {
          Net net(0, comm.rank() == 2 ? 9 : 8);
          DataParallel parallel(net, comm);
        });
      },
      ThrowsMessage<ConfigError>(HasSubstr("the model or the options of rank 2 differ")));
}

TEST(DataParallel, SeesReplacedGradients) {
  Communicator alone;
  Net net(0);
  net.use_spare = true;
  DataParallel parallel(net, alone);
  {
    auto local = parallel.no_sync();
    parallel.backward(loss_of(net, batch(0)));
  }
  net.second.set_grad(zeros_like(net.second));
  EXPECT_THAT([&] { parallel.backward(loss_of(net, batch(0))); },
              ThrowsMessage<AutogradError>(HasSubstr("the gradient of second was replaced")));
}

TEST(DataParallel, HooksOutliveIt) {
  Communicator alone;
  Net net(0);
  net.use_spare = true;
  { DataParallel parallel(net, alone); }
  loss_of(net, batch(0)).backward();
  EXPECT_TRUE(net.first.grad().defined());
}

}  // namespace
}  // namespace tutti
