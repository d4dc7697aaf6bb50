#include "tutti/nn/conv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/ranks.h"
#include "tutti/autograd/loss.h"
#include "tutti/autograd/math.h"
#include "tutti/autograd/reduce.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"
#include "tutti/nn/activation.h"
#include "tutti/nn/batch_norm.h"
#include "tutti/nn/linear.h"
#include "tutti/nn/pool.h"
#include "tutti/nn/sequential.h"
#include "tutti/optim/sgd.h"
#include "tutti/parallel/data_parallel.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Conv2d, IsDrawnWithinItsBound) {
  const nn::Conv2d conv(8, 16, {3, 6}, Generator(1), {.groups = 2});
  EXPECT_EQ(conv.weight.shape(), Shape({16, 4, 3, 6}));
  const double bound = 1 / std::sqrt(4.0 * 3 * 6);
  EXPECT_LE(amax(abs(conv.weight)).item(), bound);
  EXPECT_GT(amax(abs(conv.weight)).item(), 0.99 * bound);
  EXPECT_LE(amax(abs(conv.bias)).item(), bound);
}

TEST(Conv2d, RefusesSizesThatDoNotFit) {
  EXPECT_THAT([] { nn::Conv2d(8, 6, 3, Generator(1), {.groups = 4}); },
              ThrowsMessage<ConfigError>("Conv2d: 4 groups must divide 8 channels in and 6 out"));
  EXPECT_THROW(nn::Conv2d(8, 6, {3, 0}, Generator(1)), ConfigError);
  EXPECT_THROW(nn::Conv2d(8, 6, 3, Generator(1), {.groups = 0}), ConfigError);
}

TEST(BatchNorm2d, HasPyTorchsNames) {
  std::vector<std::string> names;
  for (const auto& entry : nn::BatchNorm2d(3).state_dict()) names.push_back(entry.name);
  EXPECT_THAT(names, ElementsAre("weight", "bias", "running_mean", "running_var", "num_batches_tracked"));
  EXPECT_EQ(nn::BatchNorm2d(3).parameters().size(), 2u);
  EXPECT_EQ(nn::BatchNorm2d(3, {.affine = false}).parameters().size(), 0u);
  EXPECT_THROW(nn::BatchNorm2d(0), ConfigError);
}

TEST(BatchNorm2d, LearnsItsAveragesAndUsesThemInEvaluation) {
  nn::BatchNorm2d norm(2);
  Generator rng(1);
  for (int i = 0; i < 100; ++i) norm(randn({8, 2, 4, 4}, rng, 5, 3));
  EXPECT_EQ(norm.num_batches_tracked.item<std::int64_t>(), 100);
  for (int c : {0, 1}) {
    EXPECT_NEAR(norm.running_mean.select(0, c).item(), 5, 0.3);
    EXPECT_NEAR(norm.running_var.select(0, c).item(), 9, 1);
  }
  norm.eval();
  const auto before = norm.running_mean.to_vector<float>();
  EXPECT_NEAR(norm(full({1, 2, 1, 1}, 5)).select(1, 0).item(), 0, 0.1);
  EXPECT_EQ(norm.running_mean.to_vector<float>(), before);
  EXPECT_THAT(
      [&] {
        norm(ones({2, 2}));
      },
      ThrowsMessage<ShapeError>(HasSubstr("x is [n, c, h, w], got [2, 2]")));
}

// What resnets are made of, trained on two ranks: running averages become the mean of what each rank's images give.
TEST(BatchNorm2d, TrainsInParallelAndSharesItsAverages) {
  std::vector<std::vector<float>> weights(2), averages(2), own(2);
  test::on_ranks(2, [&](Communicator& comm) {
    Generator rng(1);
    nn::Sequential net(nn::Conv2d(1, 4, 3, rng, {.padding = 1, .bias = false}), nn::BatchNorm2d(4),
                       nn::ReLU(), nn::AvgPool2d(4), nn::Flatten(), nn::Linear(4, 2, rng));
    optim::SGD sgd(net.parameters(), {.lr = 0.1});
    DataParallel parallel(net, comm);
    Generator data(7, static_cast<std::uint64_t>(comm.rank()));
    const auto me = static_cast<std::size_t>(comm.rank());
    const auto running = [&net] {
      return dynamic_cast<nn::BatchNorm2d&>(net[1]).running_mean.to_vector<float>();
    };
    for (int step = 0; step < 5; ++step) {
      const Tensor loss = mse_loss(net(randn({6, 1, 4, 4}, data)), ones({6, 2}));
      own[me] = running();
      parallel.backward(loss);
      sgd.step();
    }
    weights[me] = net.parameters()[0].tensor.to_vector<float>();
    averages[me] = running();
    EXPECT_EQ(dynamic_cast<nn::BatchNorm2d&>(net[1]).num_batches_tracked.item<int>(), 5);
  });
  EXPECT_EQ(weights[0], weights[1]);
  EXPECT_EQ(averages[0], averages[1]);
  EXPECT_NE(own[0], own[1]);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_FLOAT_EQ(averages[0][i], (own[0][i] + own[1][i]) / 2);
}

}  // namespace
}  // namespace tutti
