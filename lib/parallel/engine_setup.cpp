// What an Engine is made of.
#include <fmt/format.h>

#include <algorithm>

#include "parallel/engine.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

using parallel::plan_buckets;

NamedTensors trained_of(const nn::Module& model, bool wanted = true) {
  NamedTensors result = model.parameters();
  std::erase_if(result, [&](const NamedTensor& one) { return one.tensor.requires_grad() != wanted; });
  return result;
}

NamedTensors reversed(NamedTensors tensors) {
  std::ranges::reverse(tensors);
  return tensors;
}

}  // namespace

DataParallel::Engine::Engine(nn::Module& model, Communicator& group, const DataParallelOptions& chosen)
    : comm(group),
      options(chosen),
      ranks(group.logical_ranks()),
      trained(trained_of(model)),
      schedule_(static_cast<std::size_t>(ranks.local_count())),
      randomness_(model),
      buffers_(model, ranks),
      frozen_(trained_of(model, false)),
      order_known_(group.size() == 1 || options.shard != Shard::none) {
  const bool transient =
      options.shard >= Shard::gradients && ranks.largest_local_count() == 1 && !options.hook;
  if (transient) slots = std::make_unique<parallel::Slots>(comm);
  if (options.shard == Shard::parameters) {
    make_units(model);
  } else {
    make_buckets(plan_buckets(reversed(trained), options.first_bucket_bytes, options.bucket_bytes));
  }
  randomness_.begin(ranks.first());
}

// A bucket for each unit, the last ones first, for backward completes these first.
void DataParallel::Engine::make_units(nn::Module& model) {
  // Six logical ranks on two ranks are four and two.
  const bool even = ranks.largest_local_count() * comm.size() == ranks.count();
  pool = std::make_unique<parallel::MemoryPool>(comm);
  gathering = std::make_shared<parallel::Gathering>(
      comm, *pool, parallel::find_units(model, trained, options.bucket_bytes), even);
  constexpr std::size_t no_limit = -1;
  std::vector<NamedTensors> plan;
  for (std::size_t unit = gathering->units().size(); unit-- > 0;) {
    for (auto& part : plan_buckets(gathering->units()[unit].parameters, no_limit, no_limit)) {
      plan.push_back(std::move(part));
      unit_of_.push_back(unit);
    }
  }
  make_buckets(plan);
  for (std::size_t b = 0; b < shards.size(); ++b) gathering->add(unit_of_[b], &shards[b]);
  gathering->listen();
}

void DataParallel::Engine::listen() {
  for (std::size_t i = 0; i < trained.size(); ++i) {
    Tensor parameter = trained[i].tensor;
    parameter.register_grad_hook([engine = weak_from_this(), i](Tensor&) {
      if (const auto alive = engine.lock()) alive->on_ready(i);
    });
  }
}

void DataParallel::Engine::make_buckets(const std::vector<NamedTensors>& plan) {
  const parallel::Reducing reducing{
      comm, options.order, options.hook.get(), options.overlap, options.shard != Shard::none, slots.get()};
  buckets.clear();
  places_.resize(trained.size());
  for (const auto& part : plan) {
    for (std::size_t i = 0; i < part.size(); ++i) {
      const auto is_same = [&](const NamedTensor& one) { return one.tensor.is_same(part[i].tensor); };
      const auto place = std::ranges::find_if(trained, is_same) - trained.begin();
      places_[static_cast<std::size_t>(place)] = {buckets.size(), i};
    }
    buckets.emplace_back(part, reducing);
    if (options.shard != Shard::none) shards.emplace_back(buckets.back(), comm, pool.get());
  }
  stats.buckets = buckets.size();
  stats.bytes = 0;
  for (const auto& bucket : buckets) stats.bytes += bucket.bytes();
}

DataParallel::Engine::Place DataParallel::Engine::place_of(const std::string& name,
                                                           const Tensor& parameter) const {
  for (std::size_t i = 0; i < trained.size(); ++i) {
    if (trained[i].tensor.is_same(parameter)) return places_[i];
  }
  throw ConfigError(fmt::format(
      "data parallel: {} is no parameter of the model that required a gradient when this was made", name));
}

// The order in which gradients came on rank 0 becomes that of the buckets.
void DataParallel::Engine::adopt_order() {
  order_known_ = true;
  std::vector<std::int32_t> order = came_;
  for (std::size_t i = trained.size(); i-- > 0;) {
    const auto parameter = static_cast<std::int32_t>(i);
    if (std::ranges::find(order, parameter) == order.end()) order.push_back(parameter);
  }
  comm.broadcast(order);
  NamedTensors in_order;
  for (const auto parameter : order) in_order.push_back(trained[static_cast<std::size_t>(parameter)]);
  make_buckets(plan_buckets(in_order, options.first_bucket_bytes, options.bucket_bytes));
}

DataParallelStats DataParallel::Engine::current_stats() const {
  DataParallelStats all = stats;
  const auto add_whole = [&](const NamedTensors& tensors) {
    for (const auto& [name, tensor] : tensors)
      all.parameter_bytes += static_cast<std::size_t>(tensor.numel()) * size_of(tensor.dtype());
  };
  add_whole(frozen_);
  if (shards.empty()) add_whole(trained);
  for (const auto& part : shards) all.parameter_bytes += part.bytes();
  for (const auto& bucket : buckets) {
    all.gradient_bytes += bucket.gradient_bytes();
    all.buffer_bytes += bucket.hook_bytes();
  }
  if (slots) all.buffer_bytes += slots->bytes();
  if (pool) all.buffer_bytes += pool->bytes();
  return all;
}

}  // namespace tutti
