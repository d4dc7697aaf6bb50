// The files of an encrypted checkpoint: keys.json, and each other one under its name and ".enc".
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tutti::checkpoint {

std::string encrypted_name(std::string_view name);

// For a run that asks for encryption: throws CheckpointError about `directory` unless `names`, all that is in it, are an
// encrypted checkpoint's. A checkpoint in plaintext must not pass, nor plaintext beside what is encrypted.
void require_encrypted(std::span<const std::string> names, std::string_view directory);

// For one that does not: throws CheckpointError when something of it is encrypted.
void require_plaintext(std::span<const std::string> names, std::string_view directory);

}  // namespace tutti::checkpoint
