// Checkpoints by the paths that the user gives.
#pragma once

#include <string>
#include <vector>

#include "ckpt/command.h"
#include "tutti/checkpoint/checkpoint.h"
#include "tutti/checkpoint/encryption.h"
#include "tutti/core/error.h"

namespace tutti::ckpt {

// Throws ConfigError for one that cannot be used.
Encryption keys_of(const std::vector<std::string>& key_files);

// With keys, a checkpoint in plain text is refused: who could replace an encrypted one by it need not know a key.
Checkpoint open(const std::string& path, const Common& common);

// Whether `error`, of opening, says that keys and checkpoint don't fit: it may well be good.
bool is_about_keys(const CheckpointError& error, const std::string& path, const Common& common);

// `path`, or what it is the run of, newest first. Throws CheckpointError when it is neither.
std::vector<std::string> checkpoints_at(const std::string& path);

bool is_encrypted(const std::string& path);

std::uint64_t bytes_of(const Checkpoint& checkpoint);

// "a,b" as it is, and {} for "all".
std::vector<std::string> parts_of(const std::vector<std::string>& given);

}  // namespace tutti::ckpt
