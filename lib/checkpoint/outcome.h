// A failure on one rank becomes an error on all.
#pragma once

#include <functional>
#include <string>

#include "tutti/comm/communicator.h"

namespace tutti::checkpoint {

// Runs `action`, which may differ from rank to rank but calls no collective, or calls the same ones and fails on all
// ranks alike. When it throws anywhere, every rank throws a CheckpointError about `file` with the message of the first
// rank that failed.
void together(Communicator& world, const std::string& file, const std::function<void()>& action);

}  // namespace tutti::checkpoint
