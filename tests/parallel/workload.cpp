#include "tests/parallel/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>

#include "tutti/tutti.h"

namespace tutti::test {
namespace {

// The numbers of logical rank `v` in step `step`.
Generator samples(std::int64_t step, int v) {
  return Generator(99, (static_cast<std::uint64_t>(step) << 16) + static_cast<std::uint64_t>(v));
}

// What is trained: a model and the loss of part `part` of a micro-batch.
struct Task {
  virtual ~Task() = default;
  virtual nn::Module& model() = 0;
  virtual Tensor loss(Generator& rng) = 0;
  int parts = 1;
  double max_norm = 0;
  std::shared_ptr<GradientHook> hook{};
};

struct Mlp : Task {
  nn::Sequential net;

  explicit Mlp(Generator rng)
      : net(nn::Linear(20, 33, rng), nn::Tanh(), nn::Dropout(0.2, rng), nn::Linear(33, 17, rng), nn::ReLU(),
            nn::Dropout(0.5, rng), nn::Linear(17, 5, rng)) {}
  nn::Module& model() override { return net; }
  Tensor loss(Generator& rng) override {
    const Tensor x = randn({6, 20}, rng);
    return nn::cross_entropy(net(x), argmax(x.slice(1, 0, 5), 1));
  }
};

struct Cnn : Task {
  nn::Sequential net;

  explicit Cnn(Generator rng)
      : net(nn::Conv2d(1, 6, 3, rng, {.padding = 1}), nn::BatchNorm2d(6), nn::ReLU(), nn::MaxPool2d(2),
            nn::Conv2d(6, 8, 3, rng), nn::BatchNorm2d(8), nn::ReLU(), nn::Flatten(), nn::Linear(32, 4, rng)) {
  }
  nn::Module& model() override { return net; }
  Tensor loss(Generator& rng) override {
    const Tensor x = randn({5, 1, 8, 8}, rng);
    return nn::cross_entropy(net(x), argmax(x.reshape({5, 64}).slice(1, 0, 4), 1));
  }
};

struct Gpt : Task {
  nn::Gpt net;

  explicit Gpt(Generator rng)
      : net({.vocabulary = 11,
             .layers = 2,
             .width = 16,
             .heads = 2,
             .context = 12,
             .dropout = 0.1,
             .seed = rng.state().seed}) {
    parts = 2;
    max_norm = 0.5;
    hook = std::make_shared<Bf16Gradients>();
  }
  nn::Module& model() override { return net; }
  // Each row counts up by three from somewhere, modulo the alphabet.
  Tensor loss(Generator& rng) override {
    auto rows = randint(0, 11, {2, 1}, rng).expand({2, 13}).contiguous();
    auto* row = rows.data<std::int64_t>();
    for (std::int64_t i = 0; i < rows.numel(); ++i) row[i] = (row[i] + 3 * (i % 13)) % 11;
    const Autocast autocast(DType::bf16);
    return nn::cross_entropy(net(rows.slice(1, 0, 12)), rows.slice(1, 1, 13)) * 0.5;
  }
};

std::unique_ptr<Task> make_task(const std::string& name, const Communicator& world) {
  // Every rank begins with weights of its own: rank 0's are to reach all.
  Generator rng(static_cast<std::uint64_t>(world.rank()));
  if (name == "mlp") return std::make_unique<Mlp>(rng);
  if (name == "cnn") return std::make_unique<Cnn>(rng);
  if (name == "gpt") return std::make_unique<Gpt>(Generator(3));
  throw ConfigError("workload: a model is mlp, cnn or gpt, not " + name);
}

void train_step(Task& task, DataParallel& parallel, std::int64_t step) {
  for (const int v : parallel.micro_batches()) {
    Generator rng = samples(step, v);
    for (int part = 1; part < task.parts; ++part) {
      auto local = parallel.no_sync();
      parallel.backward(task.loss(rng));
    }
    parallel.backward(task.loss(rng));
  }
  if (task.max_norm > 0) parallel.clip_grad_norm_(task.max_norm);
}

}  // namespace

Shard shard_of(const std::string& name) {
  constexpr std::array names{"none", "optimizer", "gradients", "parameters"};
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) throw ConfigError("workload: no such sharding: " + name);
  return static_cast<Shard>(found - names.begin());
}

std::string run(const Workload& workload, Communicator& world) {
  const auto task = make_task(workload.model, world);
  DataParallel parallel(task->model(), world,
                        {.first_bucket_bytes = 1000,
                         .bucket_bytes = 9000,
                         .shard = workload.shard,
                         .order = workload.order,
                         .hook = task->hook});
  optim::AdamW optimizer(parallel.parameters(), {.lr = 1e-2});
  auto model_state = parallel.full();
  auto optimizer_state = parallel.full(optimizer);
  TrainState state{model_state, optimizer_state};
  std::int64_t step = 0;
  std::unique_ptr<Checkpointer> checkpoints;
  if (!workload.checkpoints.empty()) {
    checkpoints = std::make_unique<Checkpointer>(workload.checkpoints, world);
    step = checkpoints->restore(state);
  }
  for (; step < workload.steps; ++step) {
    train_step(*task, parallel, step);
    parallel.step(optimizer);
  }
  if (checkpoints) checkpoints->save_now(step - 1, state).wait();
  NamedTensors all = model_state.state_dict();
  for (const auto& one : optimizer_state.state_dict()) all.push_back(one);
  return fmt::format("{:a} {}", parallel.loss(), fingerprint(all));
}

}  // namespace tutti::test
