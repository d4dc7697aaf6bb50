#include "tutti/checkpoint/checkpointer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <utility>
#include <vector>

#include "checkpoint/outcome.h"
#include "checkpoint/run_directory.h"
#include "tutti/core/error.h"
#include "tutti/core/logging.h"

namespace tutti {
namespace {

using checkpoint::Snapshot;

// The newest checkpoint that is whole; none when there are no checkpoints at all. Those passed over go to
// `damaged`.
std::optional<Snapshot> read_newest(const std::string& root, std::vector<std::int64_t>& damaged) {
  std::vector<std::string> reasons;
  damaged.clear();
  for (const auto steps : checkpoint::list(root)) {
    try {
      return checkpoint::read(root, steps);
    } catch (const CheckpointError& error) {
      logging::write(logging::Level::warning, fmt::format("checkpoint: {} is passed over: {}",
                                                          checkpoint::path_of(root, steps), error.what()));
      reasons.push_back(error.what());
      damaged.push_back(steps);
    }
  }
  if (reasons.empty()) return std::nullopt;
  throw CheckpointError(
      fmt::format("checkpoint: every checkpoint in {} is damaged: {}", root, fmt::join(reasons, "; ")), root);
}

void check_logical_ranks(const Snapshot& snapshot, const std::string& root, const Communicator& world) {
  const auto saved = snapshot.logical_ranks, here = std::int64_t{world.logical_ranks().count()};
  if (saved == 0 || saved == here) return;
  const auto path = checkpoint::path_of(root, snapshot.steps);
  throw CheckpointError(
      fmt::format("checkpoint: {} was saved with {} logical ranks, this world has {}: {}", path, saved, here,
                  saved >= world.size()
                      ? fmt::format("set WorldOptions::logical_ranks or TUTTI_LOGICAL_RANKS to {}", saved)
                      : fmt::format("it goes on in worlds of at most {}, not {}", saved, world.size())),
      path);
}

void load(const Snapshot& snapshot, const std::string& root, const TrainState& state) {
  try {
    state.load(snapshot.model, snapshot.others);
  } catch (const Error& error) {
    const auto path = checkpoint::path_of(root, snapshot.steps);
    throw CheckpointError(fmt::format("checkpoint: {} does not fit: {}", path, error.what()), path);
  }
}

}  // namespace

Checkpointer::Checkpointer(std::string directory, Communicator& world, const CheckpointerOptions& options)
    : directory_(std::move(directory)), world_(&world), options_(options) {
  if (options_.every_steps < 1 || options_.keep < 1) {
    throw ConfigError(fmt::format("checkpoint: every_steps and keep must be at least 1, not {} and {}",
                                  options_.every_steps, options_.keep));
  }
  checkpoint::together(*world_, directory_, [&] {
    if (world_->rank() == 0) checkpoint::prepare(directory_);
  });
}

std::int64_t Checkpointer::restore(const TrainState& state) {
  std::optional<Snapshot> snapshot;
  checkpoint::together(*world_, directory_, [&] {
    if (world_->rank() == 0) snapshot = read_newest(directory_, damaged_);
  });
  std::vector<std::int64_t> steps{snapshot ? snapshot->steps : -1};
  world_->broadcast(steps);
  if (steps[0] < 0) return 0;
  checkpoint::together(*world_, directory_, [&] {
    if (!snapshot) snapshot = checkpoint::read(directory_, steps[0]);
    check_logical_ranks(*snapshot, directory_, *world_);
  });
  // By itself, since a part may be one that loads by collectives.
  checkpoint::together(*world_, directory_, [&] { load(*snapshot, directory_, state); });
  return steps[0];
}

bool Checkpointer::save(std::int64_t step, const TrainState& state) {
  if ((step + 1) % options_.every_steps != 0) return false;
  save_now(step, state);
  return true;
}

void Checkpointer::save_now(std::int64_t step, const TrainState& state) {
  Snapshot snapshot{.steps = step + 1,
                    .world_size = world_->size(),
                    .logical_ranks = world_->logical_ranks().count(),
                    .model = {},
                    .others = {}};
  // Every rank is asked: a part may lie on all of them, and a loader in the middle of a step on any.
  checkpoint::together(*world_, directory_, [&] {
    snapshot.model = state.model();
    snapshot.others = state.others();
  });
  checkpoint::together(*world_, directory_, [&] {
    if (world_->rank() != 0) return;
    checkpoint::commit(directory_, snapshot, damaged_);
    for (const auto steps : damaged_) {
      if (steps != step + 1) checkpoint::remove(directory_, steps);
    }
    damaged_.clear();
    const auto all = checkpoint::list(directory_);
    for (auto i = static_cast<std::size_t>(options_.keep); i < all.size(); ++i)
      checkpoint::remove(directory_, all[i]);
  });
}

}  // namespace tutti
