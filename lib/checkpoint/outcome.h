// A failure on one rank becomes an error on all.
#pragma once

#include <concepts>
#include <new>
#include <string>

#include "tutti/comm/communicator.h"
#include "tutti/core/error.h"

namespace tutti::checkpoint {

// Memory ran out. No damage: what was not read for it may be good.
class OutOfMemory : public CheckpointError {
 public:
  using CheckpointError::CheckpointError;
};

// One that was made when there was memory.
[[noreturn]] void throw_out_of_memory();

// What the caller holds, to be called: made without memory, unlike a std::function.
class Action {
 public:
  template <typename F>
  requires(!std::same_as<F, Action>) Action(const F& action)
      : action_(&action), call_([](const void* action) { (*static_cast<const F*>(action))(); }) {}
  void operator()() const { call_(action_); }

 private:
  const void* action_;
  void (*call_)(const void*);
};

// Runs `action`, which may differ from rank to rank but calls no collective, or calls the same ones and fails on all
// ranks alike. When it throws anywhere, every rank throws a CheckpointError about `file` with the message of the first
// rank that failed; OutOfMemory where that is what it failed for.
void together(Communicator& world, const std::string& file, Action action);

// Makes waits of the others fail, who would wait in vain for a rank that is out of memory.
void give_up(Communicator& world);

// Runs `action` and throws OutOfMemory where memory runs out, in the midst of the collectives of `world`.
template <typename F>
auto guarded(Communicator& world, const F& action) {
  try {
    return action();
  } catch (const std::bad_alloc&) {
    give_up(world);
    throw_out_of_memory();
  }
}

}  // namespace tutti::checkpoint
