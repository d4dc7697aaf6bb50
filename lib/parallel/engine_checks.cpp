// What an Engine refuses.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "parallel/engine.h"
#include "tutti/autograd/node.h"
#include "tutti/core/error.h"
#include "tutti/core/tree.h"

namespace tutti {
namespace {

std::int64_t updates_of(const NamedTensors& tensors) {
  std::int64_t sum = 0;
  for (const auto& [name, tensor] : tensors) sum += tensor.autograd_meta()->updates;
  return sum;
}

}  // namespace

void DataParallel::Engine::refuse(const std::string& why) {
  const std::string message = fmt::format("data parallel: {}", why);
  if (comm.size() > 1) comm.abort(message);  // else the others wait for this rank
  leave_step();
  throw AutogradError(message);
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

std::int64_t DataParallel::Engine::count_updates() const {
  if (options.shard == Shard::none) return updates_of(trained);
  return updates;
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

void DataParallel::Engine::check_unused() const {
  if (missing_.empty() || step_begun_) return;
  throw AutogradError(fmt::format("data parallel: no gradient reached {}; if that is meant, set allow_unused",
                                  fmt::join(missing_, ", ")));
}

// The loss, and whether all ranks are in the same step: one that has left out a backward, or called it twice, meets
// the others' collectives with its own. A gradient that one rank misses is missing in the sum of all.
void DataParallel::Engine::meet() {
  struct Word {
    double loss, updates, missing;
  };
  const auto ranks_here = static_cast<std::size_t>(comm.size());
  std::vector<Word> all(ranks_here);
  all[0] = {tree_sum<double>(losses_), static_cast<double>(updates_between_), missing_.empty() ? 0.0 : 1.0};
  if (comm.size() > 1) {
    const Word mine = all[0];
    constexpr std::size_t words = sizeof(Word) / sizeof(double);
    comm.all_gather(ConstBufferView(&mine, words, DType::f64),
                    BufferView(all.data(), words * ranks_here, DType::f64));
  }
  std::vector<double> losses;
  for (const auto& word : all) losses.push_back(word.loss);
  const auto other =
      std::ranges::find_if(all, [&](const Word& word) { return word.updates != all[0].updates; });
  if (other != all.end()) {
    throw AutogradError(fmt::format(
        "data parallel: since the last backward, rank {} has updated its parameters {} times, rank 0 "
        "{} times: every rank calls backward once for each micro-batch, and then the optimizer",
        other - all.begin(), other->updates, all[0].updates));
  }
  const auto without = std::ranges::find_if(all, [](const Word& word) { return word.missing != 0; });
  if (without != all.end() && missing_.empty()) {
    throw AutogradError(fmt::format(
        "data parallel: no gradient reached some parameters on rank {}; if that is meant, set allow_unused",
        without - all.begin()));
  }
  mean_loss = tree_sum<double>(losses) / ranks.count();
}

}  // namespace tutti
