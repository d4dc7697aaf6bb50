// The checkpoints of a run, side by side in a directory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/directory.h"

namespace tutti::checkpoint {

// "step-0000000100"
std::string step_name(std::int64_t steps);
// The steps of such a name.
std::optional<std::int64_t> steps_in(std::string_view name);
// The name of one that is being written.
std::string hidden_name(const std::string& uuid);

// Makes `root` where there is none; throws CheckpointError when it cannot be written.
void prepare(const std::string& root);

// Steps done of the checkpoints in `root`, newest first.
std::vector<std::int64_t> list(const Directory& root);

// Throws CheckpointError for a checkpoint of more than `steps` steps that is not among `given_up`.
void check_newest(const Directory& root, std::int64_t steps, const std::vector<std::int64_t>& given_up);

// Keeps other savers out while it lives. Throws CheckpointError where there is one.
class SaverLock {
 public:
  explicit SaverLock(const Directory& root);
  SaverLock(const SaverLock&) = delete;
  SaverLock& operator=(const SaverLock&) = delete;
  ~SaverLock();

 private:
  Descriptor file_;
};

// Names of what a process that died in a save or a removal has left; under a lock, none is of a live one.
std::vector<std::string> leftovers(const Directory& root);
// All that can be removed goes, and then what stopped the rest is thrown.
void clear_leftovers(const Directory& root);

// Makes a leftover of a checkpoint: one that lacks files must not be found under its name. Returns false when it is being
// read, and stays.
bool set_aside(const Directory& root, const std::string& name);

// Makes the finished `hidden` the checkpoint `name`, in place of one that there may be. It lasts when `root` is synced.
void publish(const Directory& root, const std::string& hidden, const std::string& name);

// What a save that failed has left. Failures go to the log.
void remove_quietly(const Directory& root, const std::string& hidden);

// Keeps the damaged checkpoint of `steps` as damaged-step-...: what could not be read may not be lost.
void put_aside(const Directory& root, std::int64_t steps);

// Renames what is beyond the newest `keep` and not of a multiple of `keep_every` steps, for `clear_quietly` to remove; one that
// is being read stays until the next time. Those of `given_up` are put aside, as damaged-step-...: what could not be read may not be lost. Failures go
// to the log.
void retain(const Directory& root, std::int64_t keep, std::int64_t keep_every,
            const std::vector<std::int64_t>& given_up);

// As clear_leftovers. Failures go to the log.
void clear_quietly(const Directory& root);

}  // namespace tutti::checkpoint
