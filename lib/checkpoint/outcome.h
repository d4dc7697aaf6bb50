// A failure on one rank becomes an error on all.
#pragma once

#include <functional>
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

// Runs `action`, which may differ from rank to rank but calls no collective, or calls the same ones and fails on all
// ranks alike. When it throws anywhere, every rank throws a CheckpointError about `file` with the message of the first
// rank that failed; OutOfMemory where that is what it failed for.
void together(Communicator& world, const std::string& file, const std::function<void()>& action);

// Makes waits of the others fail, who would wait in vain for a rank that is out of memory.
void give_up(Communicator& world);

// Runs `action` and throws OutOfMemory where memory runs out, in the midst of the collectives of `world`.
template <typename Action>
auto guarded(Communicator& world, const Action& action) {
  try {
    return action();
  } catch (const std::bad_alloc&) {
    give_up(world);
    throw_out_of_memory();
  }
}

}  // namespace tutti::checkpoint
