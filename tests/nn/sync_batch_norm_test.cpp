#include "tutti/nn/sync_batch_norm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/gradcheck.h"
#include "tests/support/ranks.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"
#include "tutti/nn/conv.h"
#include "tutti/parallel/data_parallel.h"

namespace tutti {
namespace {

using test::on_ranks;
using testing::HasSubstr;

constexpr std::int64_t batch = 12, channels = 3;

// One logical rank on each rank.
void on_logical_ranks(int size, const std::function<void(Communicator&)>& f) {
  on_ranks(size, [&](Communicator& comm) {
    comm.set_logical_ranks(size);
    f(comm);
  });
}

Tensor whole_batch(DType dtype) { return tutti::to(test::sample({batch, channels, 2, 5}, 2, 7), dtype); }

Tensor share_of(const Tensor& x, const Communicator& comm) {
  const std::int64_t share = batch / comm.size();
  return contiguous(x.slice(0, comm.rank() * share, (comm.rank() + 1) * share));
}

// Some mean over the batch, of which no sample is like another.
Tensor loss_of(const Tensor& y, const Tensor& weights) { return mean(square(y + weights) * weights); }

void prepare(nn::BatchNorm2d& norm, DType dtype) {
  norm.to(dtype);
  norm.weight.copy_(test::sample({channels}, 0.5, 1));
  norm.bias.copy_(test::sample({channels}, 0.2));
}

// A BatchNorm2d that had the whole batch in one.
struct Reference {
  nn::BatchNorm2d norm{channels, {.momentum = 0.25}};
  Tensor x, weights, y;

  explicit Reference(DType dtype)
      : x(whole_batch(dtype)), weights(tutti::to(test::sample(x.shape()), dtype)) {
    prepare(norm, dtype);
    x.set_requires_grad();
    y = norm(x);
    loss_of(y, weights).backward();
  }
};

void expect_near(const Tensor& got, const Tensor& want, double tolerance) {
  ASSERT_EQ(got.shape(), want.shape());
  EXPECT_LT(amax(abs(got.detach() - want.detach())).item<double>(), tolerance);
}

template <typename T>
void expect_same_bits(const Tensor& x, Communicator& comm) {
  std::vector<T> first = x.to_vector<T>();
  comm.broadcast(first);
  EXPECT_EQ(x.to_vector<T>(), first);
}

template <typename T>
void expect_like_the_whole_batch(int size, double tolerance) {
  const Reference reference(dtype_of<T>);
  on_logical_ranks(size, [&](Communicator& comm) {
    nn::SyncBatchNorm2d norm(channels, comm, {.momentum = 0.25});
    prepare(norm, dtype_of<T>);
    Tensor x = share_of(reference.x.detach(), comm);
    x.set_requires_grad();
    const Tensor y = norm(x);
    expect_near(y, share_of(reference.y.detach(), comm), tolerance);
    for (const auto& [name, tensor] : norm.state_dict()) {
      if (tensor.dtype() == dtype_of<T>) expect_same_bits<T>(tensor, comm);
    }
    expect_near(norm.running_mean, reference.norm.running_mean, tolerance);
    expect_near(norm.running_var, reference.norm.running_var, tolerance);
    EXPECT_EQ(norm.num_batches_tracked.item<std::int64_t>(), 1);

    // The mean over the ranks, as DataParallel has it: each loss counts 1 / size.
    (loss_of(y, share_of(reference.weights, comm)) * (1.0 / size)).backward();
    expect_near(x.grad(), share_of(reference.x.grad(), comm), tolerance);
    comm.all_reduce(norm.weight.grad());
    comm.all_reduce(norm.bias.grad());
    expect_near(norm.weight.grad(), reference.norm.weight.grad(), tolerance);
    expect_near(norm.bias.grad(), reference.norm.bias.grad(), tolerance);
  });
}

TEST(SyncBatchNorm2d, IsBatchNorm2dOfTheWholeBatch) {
  for (const int size : {1, 2, 3, 4}) {
    SCOPED_TRACE(size);
    expect_like_the_whole_batch<double>(size, 1e-12);
    expect_like_the_whole_batch<float>(size, 2e-5);
  }
}

// Far from zero the mean has to be known before the deviations are squared.
TEST(SyncBatchNorm2d, KeepsItsDigitsFarFromZero) {
  const Tensor x = tutti::to(test::sample({batch, channels, 2, 5}, 0.01, 1000), DType::f32);
  on_logical_ranks(2, [&](Communicator& comm) {
    nn::SyncBatchNorm2d norm(channels, comm, {.affine = false});
    nn::BatchNorm2d exact(channels, {.affine = false});
    exact.to(DType::f64);
    expect_near(tutti::to(norm(share_of(x, comm)), DType::f64),
                share_of(exact(tutti::to(x, DType::f64)), comm), 2e-2);
  });
}

TEST(SyncBatchNorm2d, EvaluatesAsBatchNorm2dWhateverTheRanks) {
  on_ranks(3, [](Communicator& comm) {  // with four logical ranks
    nn::SyncBatchNorm2d norm(channels, comm);
    nn::BatchNorm2d plain(channels);
    plain.running_mean.copy_(test::sample({channels}));
    plain.running_var.copy_(test::sample({channels}, 1, 3));
    norm.load_state_dict(plain.state_dict());
    norm.eval();
    plain.eval();
    const Tensor x = whole_batch(DType::f32).slice(0, 0, 1 + comm.rank());
    EXPECT_EQ(norm(x).to_vector<float>(), plain(x).to_vector<float>());
  });
}

TEST(SyncBatchNorm2d, Takes16BitsAndNothing) {
  on_logical_ranks(2, [](Communicator& comm) {
    nn::SyncBatchNorm2d norm(channels, comm);
    norm.to(DType::bf16);
    Tensor x = share_of(whole_batch(DType::bf16), comm);
    x.set_requires_grad();
    const Tensor y = norm(x);
    EXPECT_EQ(y.dtype(), DType::bf16);
    sum(y).backward();
    EXPECT_EQ(x.grad().dtype(), DType::bf16);
    EXPECT_EQ(norm.weight.grad().dtype(), DType::bf16);
    const auto averages = norm.running_mean.clone();
    EXPECT_EQ(norm(empty({0, channels, 2, 2}, {.dtype = DType::bf16})).shape(), Shape({0, channels, 2, 2}));
    expect_near(norm.running_mean, averages, 1e-12);
  });
}

// Convolutions before and behind it, so that reductions of buckets are under way when it reduces.
struct Net : nn::Module {
  nn::Conv2d first, second;
  std::unique_ptr<nn::BatchNorm2d> norm;

  explicit Net(std::unique_ptr<nn::BatchNorm2d> one)
      : first(2, channels, 3, Generator(1)), second(channels, 1, 3, Generator(2)), norm(std::move(one)) {
    to(DType::f64);
  }
  Tensor forward(const Tensor& x) override { return second(relu((*norm)(first(x)))); }
  void visit(nn::MemberVisitor& v) override {
    v.module("first", first);
    v.module("norm", *norm);
    v.module("second", second);
  }
};

TEST(SyncBatchNorm2d, GivesDataParallelTheGradientsOfTheWholeBatch) {
  const Tensor x = test::sample({batch, 2, 6, 6});
  Net whole(std::make_unique<nn::BatchNorm2d>(channels));
  mean(square(whole(x))).backward();
  for (const int size : {1, 2, 3, 4}) {
    on_logical_ranks(size, [&](Communicator& comm) {
      Net net(std::make_unique<nn::SyncBatchNorm2d>(channels, comm));
      DataParallel parallel(net, comm, {.first_bucket_bytes = 1, .bucket_bytes = 1});
      parallel.backward(mean(square(net(share_of(x, comm)))));
      const auto expected = whole.parameters(), got = net.parameters();
      for (std::size_t i = 0; i < got.size(); ++i)
        expect_near(got[i].tensor.grad(), expected[i].tensor.grad(), 1e-12);
    });
  }
}

template <typename E>
void expect_refusal(int size, const char* message, const std::function<void(Communicator&)>& f) {
  on_ranks(size, [&](Communicator& comm) {
    EXPECT_THAT([&] { f(comm); }, testing::ThrowsMessage<E>(HasSubstr(message)));
  });
}

TEST(SyncBatchNorm2d, SaysWhatDoesNotFit) {
  const auto norm = [](Communicator& comm) { return nn::SyncBatchNorm2d(channels, comm); };
  expect_refusal<ConfigError>(3, "as many ranks as logical ranks",
                              [&](Communicator& comm) { norm(comm)(whole_batch(DType::f32)); });
  expect_refusal<ConfigError>(1, "1 rank(s) have 2 logical ranks", [&](Communicator& comm) {
    comm.set_logical_ranks(2);
    norm(comm)(whole_batch(DType::f32));
  });
  expect_refusal<ShapeError>(
      2, "that of rank 0 has 40 values per channel, that of rank 1 has 50",
      [&](Communicator& comm) { norm(comm)(whole_batch(DType::f32).slice(0, 0, 4 + comm.rank())); });
  expect_refusal<ShapeError>(1, "x [1, 3, 1, 1] has a single value per channel", [&](Communicator& comm) {
    norm(comm)(ones({1, channels, 1, 1}));
  });
  expect_refusal<ShapeError>(2, "x is [n, c, h, w], got [3]",
                             [&](Communicator& comm) { norm(comm)(ones({channels})); });
  expect_refusal<ShapeError>(2, "for x [2, 4, 1, 1] the running mean must be [4], it is [3]",
                             [&](Communicator& comm) {
                               norm(comm)(ones({2, 4, 1, 1}));
                             });
  expect_refusal<DTypeError>(2, "SyncBatchNorm2d",
                             [&](Communicator& comm) { norm(comm)(whole_batch(DType::f64)); });
  EXPECT_THROW(nn::SyncBatchNorm2d(0, *std::make_unique<Communicator>()), ConfigError);
}

// Rank 2 goes between forward and backward.
TEST(SyncBatchNorm2d, ARankThatIsGoneIsAnErrorNotAHang) {
  auto ranks = World::threads(4);
  std::vector<std::string> reports(ranks.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    threads.emplace_back([&, i] {
      Communicator comm = std::move(ranks[i]);  // it ends with the thread
      comm.set_timeout(std::chrono::seconds(30));
      nn::SyncBatchNorm2d norm(channels, comm);
      try {
        Tensor x = share_of(whole_batch(DType::f32), comm);
        x.set_requires_grad();
        const Tensor y = norm(x);
        if (comm.rank() != 2) sum(square(y)).backward();
      } catch (const CommError& error) {
        reports[i] = error.what();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const std::size_t i : {0, 1, 3}) EXPECT_THAT(reports[i], HasSubstr("rank 2 has left the group"));
  EXPECT_EQ(reports[2], "");
}

}  // namespace
}  // namespace tutti
