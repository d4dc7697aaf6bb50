// One checkpoint, by all ranks.
#pragma once

#include <optional>
#include <string>

#include "checkpoint/directory.h"
#include "checkpoint/plan.h"
#include "checkpoint/saving.h"
#include "checkpoint/staging.h"

namespace tutti::checkpoint {

// What a manifest has besides files and tensors; all ranks share its uuid. A collective call.
Manifest new_manifest(Communicator& world, std::int64_t steps);

// Writes what is staged as `hidden` in `root`, and then, as a whole, makes it `name`, in place of one that there may
// be. When it returns, it outlives a power cut; where it throws, on every rank, nothing is left. A collective call.
void write_checkpoint(Communicator& world, const Directory& root, const std::string& hidden,
                      const std::string& name, SavePlan& plan, Staging& staging, Saving& saving,
                      const std::optional<Encryption>& encryption);

}  // namespace tutti::checkpoint
