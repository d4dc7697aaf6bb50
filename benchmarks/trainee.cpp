#include "benchmarks/trainee.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "benchmarks/models.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/cuda.h"
#include "tutti/core/error.h"
#include "tutti/nn/loss.h"
#include "tutti/tensor/creation.h"
#include "tutti/tensor/random.h"

namespace tutti::bench {
namespace {

Shard shard_of(const std::string& name) {
  const auto at = std::find(std::begin(shard_names), std::end(shard_names), name);
  return static_cast<Shard>(at - std::begin(shard_names));
}

// "cuda" gives each rank a GPU, if there are enough.
Device device_of(const Communicator& comm, const TrainSettings& train) {
  return train.device == "cuda" && comm.size() > 1 ? Device::cuda(comm.rank() % Device::cuda_count())
                                                   : Device::parse(train.device);
}

// All of a file.
std::string read_all(const std::string& path) {
  if (path.empty()) return {};
  std::ifstream file(path, std::ios::binary);
  std::string all(std::istreambuf_iterator<char>(file), {});
  if (!file) throw ConfigError(fmt::format("train: cannot read {}", path));
  return all;
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
    : device_(device_of(comm, train)),
      model_(make_model(train)),
      order_(order),
      ranks_(comm.logical_ranks()),
      text_(read_all(train.text)) {
  if (!train.text.empty() && (train.model != "gpt" || train.vocabulary < 256 ||
                              static_cast<std::int64_t>(text_.size()) < train.context + 2)) {
    throw ConfigError(
        "train: --text is for a gpt with a vocabulary of 256 or more, and is longer than its context");
  }
  model_->to(device_).to(train.dtype);
  for (const int v : ranks_) {
    const auto [inputs, targets] = micro_batch_of(v, train);
    batches_.push_back({train.model == "gpt" ? inputs.to(device_) : inputs.to(device_).to(train.dtype),
                        targets.to(device_)});
  }
  const optim::AdamWOptions options{.lr = train.lr, .weight_decay = 0.1};
  if (!train.graph) {
    parallel_.emplace(
        *model_, comm,
        DataParallelOptions{.overlap = train.overlap, .shard = shard_of(train.shard), .order = order});
    optimizer_.emplace(parallel_->parameters(), options);
    return;
  }
  if (comm.size() > 1 || batches_.size() > 1)
    throw ConfigError("train: --graph is of one rank and one micro-batch");
  optimizer_.emplace(model_->parameters(), options);
}

// A step without DataParallel.
void Trainee::alone() {
  optimizer_->zero_grad(true);
  loss_ = nn::cross_entropy((*model_)(batches_[0].inputs), batches_[0].targets);
  loss_.backward();
  optimizer_->step();
}

// The sequence with number i begins at byte 104729 i, in the round.
void Trainee::read_text() {
  const auto ranks = ranks_.count();
  auto batch = batches_.begin();
  for (const int v : ranks_) {
    const std::int64_t rows = batch->inputs.size(0), context = batch->inputs.size(1);
    std::vector<std::int64_t> inputs, targets;
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::int64_t number = (steps_ * ranks + v) * rows + row;
      const auto* begin =
          text_.data() + number * 104729 % (static_cast<std::int64_t>(text_.size()) - context - 1);
      for (std::int64_t i = 0; i < context; ++i) {
        inputs.push_back(static_cast<unsigned char>(begin[i]));
        targets.push_back(static_cast<unsigned char>(begin[i + 1]));
      }
    }
    batch->inputs.copy_(from(inputs, {rows, context}, device_));
    batch->targets.copy_(from(targets, {rows, context}, device_));
    ++batch;
  }
}

void Trainee::step() {
  if (!text_.empty()) read_text();
  if (!parallel_) {
    if (graph_) {
      graph_->replay();
    } else if (steps_ == 0) {
      alone();
    } else {
      graph_.emplace(device_).capture([this] { alone(); });
      graph_->replay();
    }
  } else {
    auto batch = batches_.begin();
    for ([[maybe_unused]] const int v : parallel_->micro_batches()) {
      parallel_->backward(nn::cross_entropy((*model_)(batch->inputs), batch->targets));
      ++batch;
    }
    parallel_->step(*optimizer_);
  }
  if (device_.is_cuda()) cuda::synchronize(device_);
  if (++steps_ == 1) first_loss_ = loss();
  if (!text_.empty()) losses_.push_back(loss());
}

double Trainee::loss() const { return parallel_ ? parallel_->loss() : loss_.to(DType::f64).item<double>(); }

DataParallelStats Trainee::stats() const { return parallel_ ? parallel_->stats() : DataParallelStats{}; }

std::size_t Trainee::optimizer_bytes() const {
  std::size_t bytes = 0;
  for (const auto& [name, tensor] : optimizer_->state_dict()) {
    bytes += static_cast<std::size_t>(tensor.numel()) * size_of(tensor.dtype());
  }
  return bytes;
}

}  // namespace tutti::bench
