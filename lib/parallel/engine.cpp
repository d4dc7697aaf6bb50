#include "parallel/engine.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {

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
  loss_reader_.begin(loss);
  go_back(loss, weight / ranks.count());
  losses_.back() += loss_reader_.finish([this] { watch(); }) * weight;
}

void DataParallel::Engine::watch() {
  for (auto& bucket : buckets) bucket.watch();
  for (auto& part : shards) part.watch();
  buffers_.watch();
}

void DataParallel::Engine::settle() {
  for (auto& bucket : buckets) bucket.settle();
  for (auto& part : shards) part.settle();
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
void DataParallel::Engine::complete(parallel::Bucket& bucket) {
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

}  // namespace tutti
