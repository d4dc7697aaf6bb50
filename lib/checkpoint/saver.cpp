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

namespace {

// For the thread that saves.
Communicator own_of(Communicator& world, const CheckpointerOptions& options) {
  Communicator own = world.split(0, world.rank());
  own.set_timeout(std::max(options.timeout, world.timeout()));
  return own;
}

}  // namespace

Saver::Saver(const std::string& directory, Communicator& world, const CheckpointerOptions& options)
    : directory_(directory),
      world_(world),
      options_(options),
      own_(own_of(world, options)),
      process_(::getpid()) {}

Saver::~Saver() {
  if (::getpid() != process_) {  // a fork of the process that saves: the thread is not here
    if (thread_.joinable()) thread_.detach();
    return;
  }
  join();
  try {
    const auto unseen = saving_ ? saving_->take_failure() : "";
    if (!unseen.empty()) logging::write(logging::Level::error, unseen);
  } catch (...) {  // there is no memory to tell it
  }
}

void Saver::join() {
  if (thread_.joinable()) thread_.join();
}

void Saver::drain() {
  join();
  throw_unseen();
}

void Saver::throw_unseen() {
  const auto unseen = saving_ ? saving_->take_failure() : "";
  if (!unseen.empty()) throw CheckpointError(unseen, saving_->path());
}

void Saver::abandon() {
  if (saving_) saving_->stop = true;
}

bool Saver::agree(std::int64_t steps, const std::exception_ptr& failure) {
  const auto path = directory_ + "/" + step_name(steps);
  while (true) {
    std::int32_t busy = saving_ && !saving_->done() ? 1 : 0;
    world_.all_reduce(BufferView(&busy, 1, DType::i32), ReduceOp::max);
    if (busy == 0) break;
    if (options_.when_busy == WhenBusy::skip) return false;
    if (options_.when_busy == WhenBusy::fail) {
      throw CheckpointError(fmt::format("checkpoint: {} is not saved: the save before is not done", path),
                            path);
    }
    if (saving_) saving_->wait_quietly();
  }
  join();
  std::int32_t broken = broken_ ? 1 : 0;
  world_.all_reduce(BufferView(&broken, 1, DType::i32), ReduceOp::max);
  if (broken == 1) {
    own_ = own_of(world_, options_);
    broken_ = false;
  }
  together(world_, path, [&] {
    if (failure) std::rethrow_exception(failure);
    throw_unseen();
    if (world_.rank() == 0) check_newest(Directory(directory_), steps, damaged_);
  });
  return true;
}

void Saver::reserve(const TrainState& state) {
  try {
    const auto shards = state.shards();
    staging_.reserve(plan_save({}, shards, world_.rank(), world_.size(), options_.single_file), shards);
  } catch (const std::exception&) {  // the save says so, if it is so then
  }
}

Restored Saver::restore(const TrainState& state) {
  return guarded(world_, [&] { return load(state); });
}

Restored Saver::load(const TrainState& state) {
  join();
  together(world_, directory_,
           [&] { throw_unseen(); });  // a rank that waited for the save has seen it already
  reserve(state);
  auto restored =
      checkpoint::restore(directory_, world_, state, options_.encrypt, damaged_, staging_.memory());
  reserve(state);
  return restored;
}

std::shared_ptr<Saving> Saver::save(std::int64_t steps, const TrainState& state) {
  return guarded(world_, [&] { return begin(steps, state); });
}

std::shared_ptr<Saving> Saver::begin(std::int64_t steps, const TrainState& state) {
  std::shared_ptr<Saving> saving;
  ShardedTensors shards;
  Manifest manifest;
  std::exception_ptr failure;
  try {
    saving = std::make_shared<Saving>(directory_ + "/" + step_name(steps));
    shards = state.shards();
    manifest = new_manifest(world_, steps);
  } catch (...) {
    failure = std::current_exception();
  }
  if (!agree(steps, failure)) return nullptr;
  try {
    share_uuid(manifest, world_);
    plan_ = plan_save(std::move(manifest), shards, world_.rank(), world_.size(), options_.single_file);
    staging_.copy(plan_, shards);
  } catch (...) {
    failure = std::current_exception();
  }
  saving_ = saving;
  saving->staged(staging_.bytes());
  if (options_.async && own_.any_thread()) {
    try {
      thread_ = std::thread(&Saver::run, this, steps, failure);
      return saving;
    } catch (const std::system_error&) {  // no more threads: the other ranks wait for this one
    } catch (const std::bad_alloc&) {
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
      if (std::ranges::find(damaged_, steps) != damaged_.end() && root->has(step_name(steps)))
        put_aside(*root, steps);
    });
    std::erase(damaged_, steps);
    const auto hidden = hidden_name(plan_.manifest.uuid);
    write_checkpoint(own_, *root, hidden, step_name(steps), plan_, staging_, *saving_, options_.encrypt);
    if (first) retain(*root, options_.keep, options_.keep_every, damaged_);
    saving_->finish(nullptr);
    // Nobody waits for this: to free a gigabyte may take a third of the time that it took to write it.
    if (first) clear_quietly(*root);
  } catch (const CheckpointError&) {
    finish(std::current_exception());
  } catch (const std::bad_alloc&) {
    broken_ = true;
    give_up(own_);
    try {
      throw_out_of_memory();
    } catch (const OutOfMemory&) {
      finish(std::current_exception());
    }
  } catch (...) {  // the others are gone, or did not come in time
    broken_ = true;
    finish(std::current_exception());
  }
}

void Saver::finish(std::exception_ptr failure) {
  if (!saving_->done()) saving_->finish(std::move(failure));
}

}  // namespace tutti::checkpoint
