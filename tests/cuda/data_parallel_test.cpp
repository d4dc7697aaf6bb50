// Training on several GPUs, of ranks that are threads.
#include "tutti/parallel/data_parallel.h"

#include <fmt/format.h>

#include <mutex>
#include <set>

#include "tests/cuda/gpu_ranks.h"
#include "tutti/tutti.h"

namespace tutti::test {
namespace {

// Of operations that need no reduction: the sum of squares is a product with ones.
struct Mlp : nn::Module {
  Tensor up, down, unused, mean;

  explicit Mlp(Device device, int seed = 0)
      : up(numbers({5, 33}, DType::f32, seed).mul_(0.3).to(device)),
        down(numbers({33, 3}, DType::f32, seed + 1).mul_(0.2).to(device)),
        unused(ones({7}, {.device = device})),
        mean(zeros({1, 33}, {.device = device})) {
    for (Tensor* weight : {&up, &down, &unused}) weight->set_requires_grad();
  }
  Tensor forward(const Tensor& x) override {
    const Tensor hidden = relu(matmul(x, up));
    const Tensor ones_of_rows = ones({1, x.size(0)}, {.device = x.device()});
    mean.mul_(0.9).add_(matmul(ones_of_rows, hidden.detach()), 0.1 / static_cast<double>(x.size(0)));
    return matmul(hidden, down);
  }
  void visit(nn::MemberVisitor& v) override {
    v.parameter("up", up);
    v.parameter("down", down);
    v.parameter("unused", unused);
    v.buffer("mean", mean);
  }
  Tensor loss(int step, int v) {
    const Device device = up.device();
    const Tensor x = numbers({4, 5}, DType::f32, 10 * step + v).to(device);
    const Tensor error = (*this)(x)-numbers({4, 3}, DType::f32, v).to(device);
    return matmul(matmul(ones({1, 4}, {.device = device}), error * error),
                  full({3, 1}, 1.0 / 12, {.device = device}));
  }
};

constexpr int logical = 4;

// Three steps: the last loss, the weights and the buffer, the same on each rank.
NamedTensors trained(int size, const DataParallelOptions& options, bool on_gpus = true) {
  std::mutex mutex;
  std::set<std::string> results;
  NamedTensors state;
  on_ranks(size, [&](Communicator& comm) {
    comm.set_logical_ranks(logical);
    Mlp net(on_gpus ? gpu_of(comm) : Device::cpu(), comm.rank());  // those of rank 0 count
    DataParallel parallel(net, comm, options);
    optim::SGD optimizer(parallel.parameters(), {.lr = 0.1});
    for (int step = 0; step < 3; ++step) {
      for (const int v : parallel.micro_batches()) parallel.backward(net.loss(step, v));
      parallel.step(optimizer);
    }
    NamedTensors all = parallel.full().state_dict();
    for (auto& [name, tensor] : all) tensor = tensor.to(Device::cpu());
    all.push_back({"loss", full({}, parallel.loss(), {.dtype = DType::f64})});
    const std::scoped_lock lock(mutex);
    results.insert(fingerprint(all));
    state = all;
  });
  EXPECT_EQ(results.size(), 1u) << "ranks of one world differ";
  return state;
}

void expect_the_same_everywhere(DataParallelOptions options) {
  options.allow_unused = true;
  options.check_every = 1;
  const NamedTensors on_cpu = trained(1, options, false);
  std::string alone;
  for (const int size : {1, 2, 4}) {
    const NamedTensors state = trained(size, options);
    if (size == 1) alone = fingerprint(state);
    EXPECT_EQ(fingerprint(state), alone) << size << " ranks";
    for (std::size_t i = 0; i < state.size(); ++i) {
      SCOPED_TRACE(state[i].name);
      expect_close(state[i].tensor, on_cpu[i].tensor, options.hook ? 1e-2 : 1e-5);
    }
  }
}

TEST_F(GpuTest, DataParallelHasTheSameBitsInAnyWorld) {
  for (const std::size_t bytes : {300, 1 << 20}) {
    expect_the_same_everywhere({.first_bucket_bytes = bytes, .bucket_bytes = bytes});
  }
  expect_the_same_everywhere({.overlap = false});
}

TEST_F(GpuTest, ShardedDataParallelHasTheSameBitsInAnyWorld) {
  for (const Shard shard : {Shard::optimizer, Shard::gradients, Shard::parameters}) {
    expect_the_same_everywhere({.first_bucket_bytes = 300, .bucket_bytes = 300, .shard = shard});
  }
}

TEST_F(GpuTest, GradientsInBf16HaveTheSameBitsInAnyWorld) {
  for (const Shard shard : {Shard::none, Shard::optimizer}) {
    expect_the_same_everywhere({.shard = shard, .hook = std::make_shared<Bf16Gradients>()});
  }
}

TEST_F(GpuTest, BucketsLieOnTheGpu) {
  on_ranks(2, [](Communicator& comm) {
    Mlp net(gpu_of(comm));
    DataParallel parallel(net, comm, {.allow_unused = true});
    parallel.backward(net.loss(0, comm.rank()));
    EXPECT_EQ(net.up.grad().device(), gpu_of(comm));
    EXPECT_EQ(net.up.grad().storage(), net.down.grad().storage());
    expect_close(net.unused.grad(), zeros({7}), 0);
  });
}

TEST_F(GpuTest, RanksThatDriftApartAreNamed) {
  on_ranks(2, [](Communicator& comm) {
    Mlp net(gpu_of(comm));
    DataParallel parallel(net, comm);
    if (comm.rank() == 1) net.down.detach().fill_(1);
    EXPECT_THAT(
        [&] { parallel.check_divergence(); },
        ::testing::ThrowsMessage<DataError>(::testing::HasSubstr("down differs from rank 0's on rank 1")));
  });
}

TEST_F(GpuTest, ModelsOnDifferentDevicesAreRefused) {
  on_ranks(2, [](Communicator& comm) {
    Mlp net(comm.rank() == 0 ? gpu_of(comm) : Device::cpu());
    EXPECT_THAT([&] { DataParallel(net, comm); },
                ::testing::ThrowsMessage<ConfigError>(::testing::HasSubstr("of rank 1 differ")));
  });
}

}  // namespace
}  // namespace tutti::test
