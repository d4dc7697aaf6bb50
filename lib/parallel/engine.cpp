#include "parallel/engine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "parallel/agreement.h"
#include "tutti/autograd/node.h"
#include "tutti/core/error.h"
#include "tutti/core/tree.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using parallel::Bucket;
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

std::int64_t updates_of(const NamedTensors& tensors) {
  std::int64_t sum = 0;
  for (const auto& [name, tensor] : tensors) sum += tensor.autograd_meta()->updates;
  return sum;
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

void DataParallel::Engine::refuse(const std::string& why) {
  const std::string message = fmt::format("data parallel: {}", why);
  if (comm.size() > 1) comm.abort(message);  // else the others wait for this rank
  leave_step();
  throw AutogradError(message);
}

void DataParallel::Engine::begin_step() {
  if (step_begun_) {
    refuse(fmt::format("the step before was left in micro-batch {} of {} of this rank", leaf_ + 1,
                       ranks.local_count()));
  }
  buffers_.begin_step();
  randomness_.begin(ranks.first());
  in_loop_ = open_ = true;
}

void DataParallel::Engine::end_iteration(std::size_t leaf) {
  const int v = ranks.first() + static_cast<int>(leaf);
  if (open_) refuse(fmt::format("logical rank {} has had no backward outside of no_sync", v));
  in_loop_ = open_ = leaf + 1 < schedule_.leaves();
}

void DataParallel::Engine::check_place() {
  const int local = ranks.local_count();
  if (in_loop_ && !open_) {
    refuse("backward was called twice for one micro-batch; gradients of several losses add up under no_sync");
  }
  if (!in_loop_ && local > 1) {
    refuse(fmt::format("rank {} has {} of the {} logical ranks: loop over micro_batches()", comm.rank(),
                       local, ranks.count()));
  }
  if (step_begun_ && count_updates() != updates_before_) {
    refuse(fmt::format("parameters were updated in the middle of a step, in micro-batch {} of {} of rank {}",
                       leaf_ + 1, local, comm.rank()));
  }
}

void DataParallel::Engine::check_trained() {
  const auto now_frozen =
      std::ranges::find_if(trained, [](auto& one) { return !one.tensor.requires_grad(); });
  const auto now_trained =
      std::ranges::find_if(frozen_, [](auto& one) { return one.tensor.requires_grad(); });
  const char* rule = "make a new DataParallel when parameters are frozen or trained anew";
  if (now_frozen != trained.end()) {
    refuse(fmt::format("{} no longer requires a gradient; {}", now_frozen->name, rule));
  }
  if (now_trained != frozen_.end()) {
    refuse(fmt::format("{} requires a gradient now; {}", now_trained->name, rule));
  }
}

std::int64_t DataParallel::Engine::slice_updates() const {
  std::int64_t sum = 0;
  for (const auto& part : shards) sum += updates_of(part.slices());
  return sum;
}

void DataParallel::Engine::check_slices() {
  if (slice_updates() == slice_updates_) return;
  refuse(
      "an optimizer has updated slices by itself; sharded, call DataParallel::step, which gives all ranks "
      "each "
      "other's");
}

// Ranks that have no elements of a parameter have a slice of it all the same.
void DataParallel::Engine::update(optim::Optimizer& optimizer) {
  const auto before = slice_updates();
  optimizer.step();
  ++updates;
  slice_updates_ = slice_updates();
  if (!shards.empty() && slice_updates_ == before) {
    throw ConfigError(
        "data parallel: the optimizer updates no slice of this rank; sharded, make it of what "
        "DataParallel::parameters gives");
  }
  for (auto& part : shards) part.mark_updated();
  if (gathering) return gathering->updated();
  for (auto& part : shards) part.start_gather(comm);
  for (auto& part : shards) part.finish_gather();
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

std::int64_t DataParallel::Engine::count_updates() const {
  if (options.shard == Shard::none) return updates_of(trained);
  return updates;
}

void DataParallel::Engine::begin_micro_batch() {
  // One backward pass adds a single gradient to what is there, as the sum of two subtrees would be.
  fused_ = sync && !options.hook && !slots && schedule_.merges(leaf_) > 0;
  for (auto& bucket : buckets) bucket.aim(level(), !fused_);
  losses_.push_back(0);
  leaf_begun_ = empty_ = true;
}

void DataParallel::Engine::backward(const Tensor& loss, double weight) {
  const auto begin = std::chrono::steady_clock::now();
  bool ended = false;
  try {
    ended = pass(loss, weight);
  } catch (const CommError&) {
    leave_step();
    throw;
  } catch (const std::exception& error) {
    if (comm.size() > 1) comm.abort(error.what());  // else the others wait for this rank
    leave_step();
    throw;
  }
  if (ended) {
    const auto waiting = std::chrono::steady_clock::now();
    meet();
    stats.waiting += std::chrono::steady_clock::now() - waiting;
  }
  stats.backward += std::chrono::steady_clock::now() - begin;
  check_unused();
}

// An error in the middle: what comes next is a step from its beginning.
void DataParallel::Engine::leave_step() {
  leaf_ = 0;
  in_loop_ = open_ = step_begun_ = leaf_begun_ = running_ = idle_ = reducing_ = false;
  if (gathering) gathering->end_backward();
  randomness_.begin(ranks.first());
}

// Whether it was the step's last.
bool DataParallel::Engine::pass(const Tensor& loss, double weight) {
  check_place();
  if (!step_begun_) {
    check_trained();
    check_slices();
    if (!order_known_ && stats.steps > 0) adopt_order();
    updates_between_ = count_updates() - updates_before_;
    updates_before_ = count_updates();
    losses_.clear();
    missing_.clear();
    step_begun_ = true;
  }
  if (!leaf_begun_) {
    begin_micro_batch();
  } else {
    for (const auto& bucket : buckets) {
      if (const auto names = bucket.replaced(level()); !names.empty()) {
        refuse(fmt::format("the gradient of {} was replaced; it must stay a view into its bucket",
                           fmt::join(names, ", ")));
      }
    }
  }
  reducing_ = sync && leaf_ + 1 == schedule_.leaves();
  if (reducing_) came_.clear();
  run(loss, weight);
  if (!sync) return false;
  if (!reducing_) return end_micro_batch(), false;
  const auto waiting = std::chrono::steady_clock::now();
  end_step();
  stats.waiting += std::chrono::steady_clock::now() - waiting;
  return true;
}

void DataParallel::Engine::run(const Tensor& loss, double weight) {
  next_ = 0;
  for (auto& bucket : buckets) bucket.reset();
  // Where parameters are gathered, the others' backward passes need this rank in its own.
  if (weight == 0) return gathering && gathering->even() ? run_idle(loss) : void();
  empty_ = false;
  if (loss.numel() != 1) return loss.backward();  // says what is wrong
  losses_.back() += loss.item<double>() * weight;
  go_back(loss, weight / ranks.count());
}

void DataParallel::Engine::run_idle(const Tensor& loss) {
  if (!loss.defined() || !loss.requires_grad()) {
    refuse(
        "where parameters are sharded, a micro-batch without samples has a loss that depends on them too: "
        "its "
        "backward pass gathers them with the other ranks");
  }
  for (auto& bucket : buckets) bucket.set_aside();
  idle_ = true;
  go_back(loss, 0);
  idle_ = false;
  for (auto& bucket : buckets) {
    for (std::size_t i = 0; i < bucket.parameters().size(); ++i) bucket.put_back(i);
  }
}

void DataParallel::Engine::go_back(const Tensor& loss, double gradient) {
  running_ = true;
  if (gathering) gathering->begin_backward();
  loss.backward(tutti::full(loss.shape(), gradient, {loss.dtype(), loss.device()}));
  if (gathering) gathering->end_backward();
  running_ = false;
}

bool DataParallel::Engine::unit_ready(std::size_t unit) const {
  for (std::size_t b = 0; b < buckets.size(); ++b) {
    if (unit_of_[b] == unit && !buckets[b].all_ready()) return false;
  }
  return true;
}

void DataParallel::Engine::on_ready(std::size_t parameter) {
  if (!running_) return;  // another loss came by, as that of a generator does through its discriminator
  const auto [bucket, place] = places_[parameter];
  if (idle_) buckets[bucket].put_back(place);
  buckets[bucket].mark_ready(place);
  if (gathering && unit_ready(unit_of_[bucket])) gathering->end_backward(unit_of_[bucket]);
  if (!reducing_) return;
  if (!order_known_) came_.push_back(static_cast<std::int32_t>(parameter));
  // In their order on every rank, whatever order their gradients come in.
  while (next_ < buckets.size() && buckets[next_].all_ready()) start(next_++);
}

// What this micro-batch lacks counts as zero, and subtrees that are whole now become one.
void DataParallel::Engine::complete(Bucket& bucket) {
  if (!options.allow_unused && !empty_) {
    for (auto& name : bucket.missing()) missing_.insert(std::move(name));
  }
  bucket.complete(level());
  const std::size_t merges = schedule_.merges(leaf_) - (fused_ ? 1 : 0);
  for (std::size_t i = 0; i < merges; ++i) bucket.merge(level() - i);
}

void DataParallel::Engine::start(std::size_t bucket) {
  complete(buckets[bucket]);
  buckets[bucket].start();
}

void DataParallel::Engine::end_micro_batch() {
  for (auto& bucket : buckets) complete(bucket);
  buffers_.end_micro_batch(leaf_, schedule_);
  ++leaf_;
  leaf_begun_ = open_ = false;
  randomness_.begin(ranks.first() + static_cast<int>(leaf_));
}

void DataParallel::Engine::end_step() {
  reducing_ = false;
  while (next_ < buckets.size()) start(next_++);
  for (auto& bucket : buckets) bucket.finish();
  for (auto& bucket : buckets) bucket.show();
  for (auto& part : shards) part.show();
  buffers_.end_micro_batch(leaf_, schedule_);
  buffers_.end_step(comm);
  leaf_ = 0;
  leaf_begun_ = open_ = step_begun_ = false;
  ++stats.steps;
  randomness_.next_step();
  randomness_.begin(ranks.first());
  buffers_.begin_step();
}

// The loss, and whether all ranks are in the same step: one that has left out a backward, or called it twice, meets
// the others' collectives with its own.
void DataParallel::Engine::meet() {
  const std::array<double, 2> mine{tree_sum<double>(losses_), static_cast<double>(updates_between_)};
  std::vector<double> all(mine.begin(), mine.end());
  all.resize(2 * static_cast<std::size_t>(comm.size()));
  if (comm.size() > 1) comm.all_gather(mine, all);
  std::vector<double> losses;
  std::vector<int> others;
  for (std::size_t rank = 0; rank < all.size() / 2; ++rank) {
    losses.push_back(all[2 * rank]);
    if (all[2 * rank + 1] != all[1]) others.push_back(static_cast<int>(rank));
  }
  if (!others.empty()) {
    throw AutogradError(fmt::format(
        "data parallel: since the last backward, rank {} has updated its parameters {} times, rank 0 "
        "{} times: every rank calls backward once for each micro-batch, and then the optimizer",
        others[0], all[2 * static_cast<std::size_t>(others[0]) + 1], all[1]));
  }
  mean_loss = tree_sum<double>(losses) / ranks.count();
}

void DataParallel::Engine::check_unused() const {
  if (missing_.empty() || step_begun_) return;
  throw AutogradError(fmt::format("data parallel: no gradient reached {}; if that is meant, set allow_unused",
                                  fmt::join(missing_, ", ")));
}

}  // namespace tutti
