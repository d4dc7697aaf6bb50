#include "checkpoint/saver.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <system_error>

#include "checkpoint/loader.h"
#include "checkpoint/outcome.h"
#include "checkpoint/run_directory.h"
#include "checkpoint/write_checkpoint.h"
#include "tutti/core/error.h"
#include "tutti/core/logging.h"

namespace tutti::checkpoint {

Saver::Saver(const std::string& directory, Communicator& world, const CheckpointerOptions& options)
    : directory_(directory),
      world_(world),
      options_(options),
      own_(world.split(0, world.rank())),
      process_(::getpid()) {
  own_.set_timeout(std::max(options.timeout, world.timeout()));
}

Saver::~Saver() {
  if (::getpid() != process_) {  // a fork of the process that saves: the thread is not here
    if (thread_.joinable()) thread_.detach();
    return;
  }
  join();
  const auto unseen = saving_ ? saving_->take_failure() : "";
  if (!unseen.empty()) logging::write(logging::Level::error, unseen);
}

void Saver::join() {
  if (thread_.joinable()) thread_.join();
}

void Saver::drain() {
  join();
  const auto unseen = saving_ ? saving_->take_failure() : "";
  if (!unseen.empty()) throw CheckpointError(unseen, saving_->path());
}

void Saver::abandon() {
  if (saving_) saving_->stop = true;
}

bool Saver::agree(std::int64_t steps, const std::string& error) {
  const auto path = directory_ + "/" + step_name(steps);
  while (true) {
    std::vector<std::int32_t> busy{saving_ && !saving_->done()};
    world_.all_reduce(busy, ReduceOp::max);
    if (busy[0] == 0) break;
    if (options_.when_busy == WhenBusy::skip) return false;
    if (options_.when_busy == WhenBusy::fail) {
      throw CheckpointError(fmt::format("checkpoint: {} is not saved: the save before is not done", path),
                            path);
    }
    if (saving_) saving_->wait_quietly();
  }
  join();
  const std::string unseen = saving_ ? saving_->take_failure() : "";
  together(world_, path, [&] {
    for (const auto& message : {error, unseen})
      if (!message.empty()) throw CheckpointError(message, path);
    if (world_.rank() == 0) check_newest(Directory(directory_), steps, damaged_);
  });
  return true;
}

void Saver::reserve(const TrainState& state) {
  const auto shards = state.shards();
  staging_.reserve(plan_save({}, shards, world_.rank(), world_.size(), options_.single_file), shards);
}

Restored Saver::restore(const TrainState& state) {
  drain();
  try {
    reserve(state);
  } catch (
      const Error&) {  // a loader in the middle of a step, say: it has a state again when it has loaded one
  }
  auto restored =
      checkpoint::restore(directory_, world_, state, options_.encrypt, damaged_, staging_.memory());
  reserve(state);
  return restored;
}

std::shared_ptr<Saving> Saver::save(std::int64_t steps, const TrainState& state) {
  auto saving = std::make_shared<Saving>(directory_ + "/" + step_name(steps));
  ShardedTensors shards;
  std::string error;
  try {
    shards = state.shards();
  } catch (const std::exception& thrown) {
    error = thrown.what();
  }
  if (!agree(steps, error)) return nullptr;
  saving_ = saving;
  auto manifest = new_manifest(world_, steps);
  std::exception_ptr failure;
  try {
    plan_ = plan_save(std::move(manifest), shards, world_.rank(), world_.size(), options_.single_file);
    staging_.copy(plan_, shards);
  } catch (...) {
    failure = std::current_exception();
  }
  saving->staged(staging_.bytes());
  if (options_.async && own_.any_thread()) {
    try {
      thread_ = std::thread(&Saver::run, this, steps, failure);
      return saving;
    } catch (const std::system_error&) {  // no more threads: the other ranks wait for this one
    }
  }
  run(steps, failure);
  saving->wait();
  return saving;
}

void Saver::run(std::int64_t steps, std::exception_ptr failure) {
  const bool first = own_.rank() == 0;
  try {
    std::optional<Directory> root;
    std::optional<SaverLock> lock;
    together(own_, saving_->path(), [&] {
      if (failure) std::rethrow_exception(failure);
      root.emplace(directory_);
      if (!first) return;
      lock.emplace(*root);
      clear_quietly(*root);
    });
    const auto hidden = hidden_name(plan_.manifest.uuid);
    write_checkpoint(own_, *root, hidden, step_name(steps), plan_, staging_, *saving_, options_.encrypt);
    // One that this one replaced has its hidden name now.
    if (std::erase(damaged_, steps) > 0 && first) put_aside(*root, hidden, steps);
    if (first) retain(*root, options_.keep, options_.keep_every, damaged_);
    damaged_.clear();
    saving_->finish(nullptr);
    // Nobody waits for this: to free a gigabyte may take a third of the time that it took to write it.
    if (first) clear_quietly(*root);
  } catch (...) {
    if (!saving_->done()) saving_->finish(std::current_exception());
  }
}

}  // namespace tutti::checkpoint
