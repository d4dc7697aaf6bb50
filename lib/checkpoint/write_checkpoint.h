// One checkpoint, by all ranks.
#pragma once

#include <optional>
#include <string>

#include "checkpoint/directory.h"
#include "checkpoint/plan.h"
#include "checkpoint/saving.h"
#include "checkpoint/staging.h"

namespace tutti::checkpoint {

// What a manifest has besides files and tensors, with a fresh uuid.
Manifest new_manifest(const Communicator& world, std::int64_t steps);
// That of rank 0. A collective call.
void share_uuid(Manifest& manifest, Communicator& world);

// Writes what is staged as `hidden` in `root`, and then, as a whole, makes it `name`, in place of one that there may
// be. When it returns, it outlives a power cut; where it throws, on every rank, nothing is left, unless it was `name` already. A collective call.
void write_checkpoint(Communicator& world, const Directory& root, const std::string& hidden,
                      const std::string& name, SavePlan& plan, Staging& staging, Saving& saving,
                      const std::optional<Encryption>& encryption);

}  // namespace tutti::checkpoint
