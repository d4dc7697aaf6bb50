#include "benchmarks/trainee.h"

#include <algorithm>
#include <iterator>

#include "benchmarks/models.h"
#include "tutti/autograd/shape.h"
#include "tutti/nn/loss.h"
#include "tutti/tensor/random.h"

namespace tutti::bench {
namespace {

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
  const Shape image =
      train.model == "resnet20" ? Shape{train.micro_batch, 3, 32, 32} : Shape{train.micro_batch, 1, 28, 28};
  return {randn(image, rng), randint(0, 10, {train.micro_batch}, rng)};
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
