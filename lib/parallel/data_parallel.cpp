#include "tutti/parallel/data_parallel.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstdint>

#include "kernels/optim.h"
#include "optim/clip_grad.h"
#include "parallel/agreement.h"
#include "parallel/divergence.h"
#include "parallel/engine.h"
#include "tutti/core/error.h"
#include "tutti/core/tree.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

std::string frozen_in(const nn::Module& model) {
  std::string lines;
  for (const auto& [name, tensor] : model.parameters()) {
    if (!tensor.requires_grad()) lines += fmt::format("{} requires no gradient\n", name);
  }
  return lines;
}

std::string settings_of(const DataParallelOptions& options, const LogicalRanks& ranks,
                        const nn::Module& model) {
  return fmt::format(
      "logical_ranks {}\nfirst_bucket_bytes {}\nbucket_bytes {}\noverlap {}\nallow_unused {}\nshard "
      "{}\norder {}\nhook "
      "{}\n"
      "check_every {}\ngenerators {}\n{}",
      ranks.count(), options.first_bucket_bytes, options.bucket_bytes, options.overlap, options.allow_unused,
      static_cast<int>(options.shard), static_cast<int>(options.order), options.hook != nullptr,
      options.check_every, model.generators().size(), frozen_in(model));
}

void broadcast(const NamedGenerators& generators, Communicator& comm) {
  for (auto [name, generator] : generators) {
    const auto mine = generator.state();
    std::array<std::int64_t, 3> state{static_cast<std::int64_t>(mine.seed),
                                      static_cast<std::int64_t>(mine.stream),
                                      static_cast<std::int64_t>(mine.position)};
    comm.broadcast(state);
    generator.set_state({.seed = static_cast<std::uint64_t>(state[0]),
                         .stream = static_cast<std::uint64_t>(state[1]),
                         .position = static_cast<std::uint64_t>(state[2])});
  }
}

}  // namespace

DataParallel::DataParallel(nn::Module& model, Communicator& comm, const DataParallelOptions& options)
    : model_(model), comm_(comm) {
  const NamedTensors state = model.state_dict();
  parallel::check_agreement(state, settings_of(options, comm.logical_ranks(), model), comm);
  for (const auto& [name, tensor] : state) comm.broadcast(tensor);
  broadcast(model.generators(), comm);
  engine_ = std::make_shared<Engine>(model, comm, options);
  engine_->listen();
}

DataParallel::~DataParallel() = default;

DataParallel::MicroBatches DataParallel::micro_batches() { return MicroBatches(*this); }

void DataParallel::backward(const Tensor& loss, double weight) { engine_->backward(loss, weight); }

double DataParallel::loss() const { return engine_->mean_loss; }

DataParallelStats DataParallel::stats() const { return engine_->current_stats(); }

NamedTensors DataParallel::parameters() const { return shard(engine_->trained); }

NamedTensors DataParallel::shard(const NamedTensors& parameters) const {
  if (engine_->options.shard == Shard::none) return parameters;
  NamedTensors result;
  for (const auto& [name, parameter] : parameters) {
    const auto [bucket, i] = engine_->place_of(name, parameter);
    result.push_back({name, engine_->shards[bucket].slices()[i].tensor});
  }
  return result;
}

// The sums of the chunks of all gradients, in the model's order, of which each rank computes those of its slices.
double DataParallel::clip_grad_norm_(double max_norm) {
  using kernels::SumSquares;
  optim::check_max_norm(max_norm);
  engine_->settle();
  const bool sharded = engine_->options.shard != Shard::none;
  std::vector<double> squares;
  std::vector<optim::GradSquares> gradients;
  for (const auto& whole : engine_->trained) {
    const std::size_t begin = squares.size();
    squares.resize(begin + static_cast<std::size_t>(SumSquares::chunks(whole.tensor.numel())));
    NamedTensor mine = whole;
    std::int64_t first = 0;
    if (sharded) {
      const auto [bucket, i] = engine_->place_of(whole.name, whole.tensor);
      mine = engine_->shards[bucket].slices()[i];
      first = engine_->shards[bucket].first(i);
    }
    if (!mine.tensor.grad().defined() || mine.tensor.numel() == 0) continue;
    gradients.push_back({mine.tensor.grad(), static_cast<std::int64_t>(begin) + first / SumSquares::chunk});
  }
  optim::grad_squares(gradients, from_buffer(squares, {static_cast<std::int64_t>(squares.size())}));
  if (sharded && comm_.size() > 1) comm_.all_reduce(squares);  // each has one summand that is not 0
  const double norm = std::sqrt(tree_sum<double>(squares));
  optim::clip_to(parameters(), max_norm, norm);
  return norm;
}

void DataParallel::step(optim::Optimizer& optimizer) {
  engine_->update(optimizer);
  const auto every = engine_->options.check_every;
  if (every > 0 && engine_->stats.steps % every == 0) check_divergence();
}

void DataParallel::check_divergence() {
  engine_->settle();
  NamedTensors state = model_.state_dict();
  // Of sharded parameters no rank has what another one has.
  if (engine_->gathering) {
    std::erase_if(state, [](const NamedTensor& one) { return one.tensor.storage()->data() == nullptr; });
  }
  parallel::check_divergence(state, model_.generators(), engine_->stats.steps, comm_);
}

DataParallel::FullModel DataParallel::full() { return FullModel(*this); }

DataParallel::FullState DataParallel::full(optim::Optimizer& optimizer) { return {*this, optimizer}; }

DataParallel::NoSync::NoSync(DataParallel& parallel) : parallel_(parallel), before_(parallel.engine_->sync) {
  parallel_.engine_->sync = false;
}

DataParallel::NoSync::~NoSync() { parallel_.engine_->sync = before_; }

DataParallel::MicroBatches::Iterator DataParallel::MicroBatches::begin() const {
  parallel_.engine_->begin_step();
  return {parallel_, 0};
}

DataParallel::MicroBatches::Iterator& DataParallel::MicroBatches::Iterator::operator++() {
  parallel_->engine_->end_iteration(leaf_);
  return ++leaf_, *this;
}

int DataParallel::MicroBatches::Iterator::operator*() const {
  return parallel_->engine_->ranks.first() + static_cast<int>(leaf_);
}

bool DataParallel::MicroBatches::Iterator::operator==(End) const {
  return leaf_ == static_cast<std::size_t>(parallel_->engine_->ranks.local_count());
}

}  // namespace tutti
