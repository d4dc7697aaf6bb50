// Saves, one after another.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "checkpoint/directory.h"
#include "checkpoint/saving.h"
#include "checkpoint/staging.h"
#include "tutti/checkpoint/checkpointer.h"
#include "tutti/checkpoint/train_state.h"

namespace tutti::checkpoint {

class Saver {
 public:
  // A collective call.
  Saver(const std::string& directory, Communicator& world, const CheckpointerOptions& options);
  // Drains.
  ~Saver();

  // Puts the newest checkpoint into `state`, by way of the memory that the next save needs anyway. A collective call.
  Restored restore(const TrainState& state);
  // Null where it is left out. A collective call.
  std::shared_ptr<Saving> save(std::int64_t steps, const TrainState& state);
  // Waits for the one under way; what failed unseen is thrown.
  void drain();
  void abandon();

 private:
  Restored load(const TrainState& state);
  std::shared_ptr<Saving> begin(std::int64_t steps, const TrainState& state);
  // Agrees with the other ranks that a save can begin; returns false where it is left out. Throws on all what `failure` is on
  // one.
  bool agree(std::int64_t steps, const std::exception_ptr& failure);
  // Makes room for a save of `state`.
  void reserve(const TrainState& state);
  void run(std::int64_t steps, std::exception_ptr failure);
  void finish(std::exception_ptr failure);
  void join();
  // The failure that nobody has seen, if there is one.
  void throw_unseen();

  const std::string directory_;
  Communicator& world_;
  const CheckpointerOptions options_;
  Communicator own_;     // of the thread
  bool broken_ = false;  // own_: a wait in it failed
  const pid_t process_;
  std::vector<std::int64_t>
      damaged_;  // checkpoints that cannot be used: with the next saves they are put aside
  SavePlan plan_;
  Staging staging_;
  std::shared_ptr<Saving> saving_;  // the last one
  std::thread thread_;
};

}  // namespace tutti::checkpoint
