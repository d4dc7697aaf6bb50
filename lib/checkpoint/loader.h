// From a checkpoint into a state.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/disk_file.h"
#include "tutti/checkpoint/checkpointer.h"

namespace tutti::checkpoint {

// Puts the one in `path` into `state`. A collective call; Checkpointer::restore says what it throws, as of the next.
Restored load(const std::string& path, Communicator& world, const TrainState& state);

// Puts the newest checkpoint of `directory` that is whole into `state`. `keys` are for encrypted ones, which all
// have to be then. `damaged` gets the steps of those passed over. `memory`, which may be null, is for what is read, as far as
// it goes.
Restored restore(const std::string& directory, Communicator& world, const TrainState& state,
                 const std::optional<Encryption>& keys, std::vector<std::int64_t>& damaged,
                 const std::shared_ptr<Pages>& memory);

}  // namespace tutti::checkpoint
