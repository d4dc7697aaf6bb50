#include "benchmarks/trainee.h"

#include <algorithm>
#include <iterator>

#include "tutti/autograd/shape.h"
#include "tutti/nn/activation.h"
#include "tutti/nn/conv.h"
#include "tutti/nn/gpt.h"
#include "tutti/nn/linear.h"
#include "tutti/nn/loss.h"
#include "tutti/nn/pool.h"
#include "tutti/nn/sequential.h"
#include "tutti/tensor/random.h"

namespace tutti::bench {
namespace {

constexpr std::int64_t side = 28, classes = 10;  // of the images

Shard shard_of(const std::string& name) {
  const auto at = std::find(std::begin(shard_names), std::end(shard_names), name);
  return static_cast<Shard>(at - std::begin(shard_names));
}

}  // namespace

MicroBatch micro_batch_of(int logical_rank, const TrainSettings& train) {
  Generator rng(1, static_cast<std::uint64_t>(logical_rank));
  if (train.model == "gpt") {
    const Tensor text = randint(0, train.vocabulary, {train.micro_batch, train.context + 1}, rng);
    return {contiguous(text.slice(1, 0, train.context)), contiguous(text.slice(1, 1, train.context + 1))};
  }
  return {randn({train.micro_batch, 1, side, side}, rng), randint(0, classes, {train.micro_batch}, rng)};
}

// The cnn and the mlp are those of examples/mnist.
std::unique_ptr<nn::Module> make_model(const TrainSettings& train) {
  if (train.model == "gpt") {
    return std::make_unique<nn::Gpt>(nn::GptOptions{.vocabulary = train.vocabulary,
                                                    .layers = train.layers,
                                                    .width = train.width,
                                                    .heads = train.heads,
                                                    .context = train.context,
                                                    .dropout = train.dropout});
  }
  Generator rng(0);
  if (train.model == "mlp") {
    return std::make_unique<nn::Sequential>(nn::Flatten(), nn::Linear(side * side, 512, rng), nn::ReLU(),  //
                                            nn::Linear(512, 512, rng), nn::ReLU(),                         //
                                            nn::Linear(512, classes, rng));
  }
  return std::make_unique<nn::Sequential>(
      nn::Conv2d(1, 32, 3, rng, {.padding = 1}), nn::ReLU(), nn::MaxPool2d(2),
      nn::Conv2d(32, 64, 3, rng, {.padding = 1}), nn::ReLU(), nn::MaxPool2d(2), nn::Flatten(),
      nn::Linear(64 * (side / 4) * (side / 4), 128, rng), nn::ReLU(), nn::Linear(128, classes, rng));
}

std::int64_t units_of(const TrainSettings& train) {
  return train.micro_batch * (train.model == "gpt" ? train.context : 1);
}

const char* unit_of(const TrainSettings& train) { return train.model == "gpt" ? "tokens" : "images"; }

Trainee::Trainee(Communicator& comm, const TrainSettings& train, ReduceOrder order)
    : model_(make_model(train)),
      order_(order),
      parallel_(*model_, comm, {.overlap = train.overlap, .shard = shard_of(train.shard), .order = order}),
      optimizer_(parallel_.parameters(), {.lr = train.lr, .weight_decay = 0.1}) {
  for (const int v : comm.logical_ranks()) batches_.push_back(micro_batch_of(v, train));
}

void Trainee::step() {
  auto batch = batches_.begin();
  for ([[maybe_unused]] const int v : parallel_.micro_batches()) {
    parallel_.backward(nn::cross_entropy((*model_)(batch->inputs), batch->targets));
    ++batch;
  }
  parallel_.step(optimizer_);
  if (parallel_.stats().steps == 1) first_loss_ = parallel_.loss();
}

std::size_t Trainee::optimizer_bytes() const {
  std::size_t bytes = 0;
  for (const auto& [name, tensor] : optimizer_.state_dict()) {
    bytes += static_cast<std::size_t>(tensor.numel()) * size_of(tensor.dtype());
  }
  return bytes;
}

}  // namespace tutti::bench
