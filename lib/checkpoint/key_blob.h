// keys.json: the data key of a checkpoint, wrapped for each recipient.
//
//     {"format": 1, "checkpoint": uuid, "algorithm": "AES256-GCM-HKDF-1MB",
//      "commitment": HKDF-SHA256(data key, no salt, info = "tutti key commitment v1"), 64 hexadecimal digits
//      "recipients": [{"id": ..., "wrapped": hexadecimal digits}, ...]}
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/secret.h"
#include "tutti/checkpoint/encryption.h"

namespace tutti::checkpoint {

using RecipientKeys = std::span<const std::shared_ptr<const RecipientKey>>;

inline constexpr std::string_view key_blob_name = "keys.json";
inline constexpr std::size_t max_key_blob_bytes = std::size_t{1} << 20;
inline constexpr std::size_t max_recipients = 100;

struct SealedKey {
  Key data_key;
  std::string text;
};

// A fresh data key for the checkpoint `uuid`. Throws ConfigError for recipients that are none, too many, null, or
// share an id, and for ids that cannot be; CheckpointError when one cannot wrap; what random_bytes throws.
SealedKey seal(std::string_view uuid, RecipientKeys recipients);

struct OpenedKey {
  Key data_key;
  std::string uuid;
};

// The data key that `text`, the contents of `file`, holds for one of `keys`; checked against the commitment. Throws
// CheckpointError when the text breaks a rule, names another algorithm or format, is for none of the keys (with the
// ids of both sides), or when none of those that it names opens it (with what each said).
OpenedKey open(std::string_view text, RecipientKeys keys, std::string_view file);

// `text` for other recipients: the same data key and checkpoint, so that no file is written anew. Throws as open, for
// `keys`, and as seal, for `recipients`.
std::string rewrap(std::string_view text, RecipientKeys keys, RecipientKeys recipients,
                   std::string_view file);

}  // namespace tutti::checkpoint
