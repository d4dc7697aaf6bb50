// Trains a small model on a global batch that the ranks share; rank 0 prints the global loss of each step.
#include <fmt/format.h>
#include <tutti/tutti.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace tutti;

constexpr std::int64_t batch = 8;  // over all ranks

// This rank's part of the global batch of one step.
Tensor share(const Tensor& all, const World& world) {
  const std::int64_t size = batch / world.size();
  return all.slice(0, world.rank() * size, (world.rank() + 1) * size);
}

struct Mlp {
  nn::Sequential model;

  explicit Mlp(Generator rng) : model(nn::Linear(6, 16, rng), nn::Tanh(), nn::Linear(16, 3, rng)) {}

  Tensor loss(Generator& rng, const World& world) {
    const Tensor x = randn({batch, 6}, rng);
    const Tensor classes = argmax(x.slice(1, 0, 3), 1);
    return nn::cross_entropy(model(share(x, world)), share(classes, world));
  }
};

struct Transformer {
  nn::Gpt model;

  explicit Transformer(Generator rng)
      : model({.vocabulary = 11,
               .layers = 2,
               .width = 16,
               .heads = 2,
               .context = 12,
               .seed = rng.state().seed}) {}

  // Each row counts up by three from somewhere, modulo the alphabet.
  Tensor loss(Generator& rng, const World& world) {
    auto rows = randint(0, 11, {batch, 1}, rng).expand({batch, 13}).contiguous();
    auto* row = rows.data<std::int64_t>();
    for (std::int64_t i = 0; i < rows.numel(); ++i) row[i] = (row[i] + 3 * (i % 13)) % 11;
    const Tensor text = share(rows, world);
    return nn::cross_entropy(model(text.slice(1, 0, 12)), text.slice(1, 1, 13));
  }
};

template <typename Task>
void train(World& world) {
  // Every rank begins with weights of its own: rank 0's are to reach all.
  Task task(Generator(static_cast<std::uint64_t>(world.rank())));
  optim::AdamW optimizer(task.model.parameters(), {.lr = 1e-2});
  DataParallel parallel(task.model, world, {.first_bucket_bytes = 256, .bucket_bytes = 4096});
  Generator batches(7);
  for (int step = 0; step < 20; ++step) {
    const Tensor loss = task.loss(batches, world);
    parallel.backward(loss);
    optimizer.step();
    optimizer.zero_grad();
    std::vector<double> mean{loss.item<double>()};
    world.all_reduce(mean, ReduceOp::avg);
    if (world.rank() == 0) fmt::print("{:.9f}\n", mean[0]);
  }
  if (world.rank() == 0) fmt::print(stderr, "{} ranks over {}\n", world.size(), world.backend());
}

}  // namespace

int main(int argc, char** argv) {
  try {
    World world(argc, argv);
    if (argc == 2 && std::string(argv[1]) == "gpt")
      train<Transformer>(world);
    else
      train<Mlp>(world);
  } catch (const Error& error) {
    fmt::print(stderr, "train: {}\n", error.what());
    return 1;
  }
}
