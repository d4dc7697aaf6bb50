#include "checkpoint/encrypted_names.h"

#include <fmt/format.h>

#include <algorithm>

#include "checkpoint/key_blob.h"
#include "tutti/core/error.h"

namespace tutti::checkpoint {
namespace {

constexpr std::string_view suffix = ".enc";

[[noreturn]] void refuse(std::string_view directory, std::string_view rule) {
  throw CheckpointError(fmt::format("checkpoint: {}: {}", directory, rule), directory);
}

}  // namespace

std::string encrypted_name(std::string_view name) { return fmt::format("{}{}", name, suffix); }

void require_encrypted(std::span<const std::string> names, std::string_view directory) {
  if (std::ranges::find(names, key_blob_name) == names.end()) {
    refuse(directory,
           fmt::format("encryption is asked for, but there is no {}: it is not encrypted", key_blob_name));
  }
  for (const auto& name : names) {
    if (name != key_blob_name && !name.ends_with(suffix)) {
      refuse(directory, fmt::format("encryption is asked for, but {} is not encrypted", name));
    }
  }
}

void require_plaintext(std::span<const std::string> names, std::string_view directory) {
  for (const auto& name : names) {
    if (name == key_blob_name || name.ends_with(suffix)) {
      refuse(directory, fmt::format("it is encrypted ({}), and no keys are given", name));
    }
  }
}

}  // namespace tutti::checkpoint
