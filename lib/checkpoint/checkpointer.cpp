#include "tutti/checkpoint/checkpointer.h"

#include <fmt/format.h>

#include <utility>

#include "checkpoint/outcome.h"
#include "checkpoint/run_directory.h"
#include "checkpoint/saver.h"
#include "tutti/core/error.h"

namespace tutti {

Checkpointer::Checkpointer(std::string directory, Communicator& world, CheckpointerOptions options)
    : directory_(std::move(directory)), world_(&world), options_(std::move(options)) {
  if (options_.every_steps < 1 || options_.keep < 1 || options_.keep_every < 0) {
    throw ConfigError(
        fmt::format("checkpoint: every_steps and keep must be at least 1 and keep_every 0, not {}, {} and {}",
                    options_.every_steps, options_.keep, options_.keep_every));
  }
  checkpoint::guarded(*world_, [&] {
    checkpoint::together(*world_, directory_, [&] {
      if (world_->rank() == 0) checkpoint::prepare(directory_);
    });
    saver_ = std::make_unique<checkpoint::Saver>(directory_, *world_, options_);
    checkpoint::together(*world_, directory_, [] {});  // every rank has one, or none
  });
}

Checkpointer::~Checkpointer() = default;
Checkpointer::Checkpointer(Checkpointer&&) noexcept = default;

std::int64_t Checkpointer::restore(const TrainState& state) {
  restored_ = saver_->restore(state);
  return restored_.steps;
}

Save Checkpointer::save(std::int64_t step, const TrainState& state) {
  if ((step + 1) % options_.every_steps != 0) return Save();
  return save_now(step, state);
}

Save Checkpointer::save_now(std::int64_t step, const TrainState& state) {
  return Save(saver_->save(step + 1, state));
}

void Checkpointer::drain() { saver_->drain(); }

void Checkpointer::abandon() { saver_->abandon(); }

}  // namespace tutti
