// A small run that saves checkpoints: what is saved at step s holds s + 1 everywhere.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/checkpoint/parts.h"
#include "tutti/checkpoint/checkpointer.h"
#include "tutti/core/error.h"

namespace tutti::test {

class SmallRun {
 public:
  SmallRun(std::string directory, Communicator& world, std::int64_t keep = 1,
           std::optional<Encryption> encryption = std::nullopt)
      : directory_(std::move(directory)),
        options_{.keep = keep, .encrypt = std::move(encryption), .timeout = std::chrono::seconds(20)},
        world_(world) {
    world_.set_logical_ranks(4);
  }

  // The parts of the next two, for what may not allocate more than they do.
  void fill(double value) {
    model_.fill(value);
    optimizer_.fill(value);
  }
  void open() {
    if (!checkpoints_) checkpoints_.emplace(std::move(directory_), world_, std::move(options_));
  }
  void save_as_filled(std::int64_t step) { checkpoints_->save_now(step, state_).wait(); }
  std::int64_t load() { return checkpoints_->restore(state_); }

  // Throws as Checkpointer, which may be made in it.
  void save(std::int64_t step) {
    fill(static_cast<double>(step + 1));
    open();
    save_as_filled(step);
  }

  // Returns the steps of what was loaded; -1 where what it holds is not that of one step.
  std::int64_t restore() {
    fill(-1);
    open();
    const auto steps = load();
    return holds(steps > 0 ? static_cast<double>(steps) : -1) ? steps : -1;
  }

  const Restored& restored() const { return checkpoints_->restored(); }
  // Waits for the removal of older checkpoints too. Throws CheckpointError.
  void drain() { checkpoints_->drain(); }

  bool holds(double value) const { return model_.holds(value) && optimizer_.holds(value); }

 private:
  std::string directory_;  // until it is open
  CheckpointerOptions options_;
  Communicator& world_;
  Part model_ = a_model(5000), optimizer_ = an_optimizer();
  TrainState state_{model_, optimizer_};
  std::optional<Checkpointer> checkpoints_;
};

// What is in the directory of a run that is neither a checkpoint nor the lock.
inline std::vector<std::string> leftovers(const std::string& run) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(run)) {
    const auto name = entry.path().filename().string();
    if (name != ".lock" && !name.starts_with("step-")) names.push_back(name);
  }
  return names;
}

}  // namespace tutti::test
