#include "checkpoint/key_blob.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "checkpoint/binding.h"
#include "checkpoint/hex.h"
#include "checkpoint/key_blob_text.h"
#include "checkpoint/stream_layout.h"
#include "tutti/core/error.h"

namespace tutti::checkpoint {
namespace {

std::array<std::byte, Key::size> commitment_to(const Key& data_key) {
  std::array<std::byte, Key::size> commitment;
  hkdf_sha256(data_key.bytes(), {}, "tutti key commitment v1", commitment);
  return commitment;
}

void check_recipients(RecipientKeys recipients) {
  const auto refuse = [](std::string_view rule) {
    throw ConfigError(fmt::format("checkpoint: recipients of encryption: {}", rule));
  };
  if (recipients.empty() || recipients.size() > max_recipients) {
    refuse(fmt::format("1 to {} of them, not {}", max_recipients, recipients.size()));
  }
  std::set<std::string> ids;
  for (const auto& recipient : recipients) {
    if (recipient == nullptr) refuse("one of them is null");
    const auto& id = recipient->id();
    if (id.empty() || id.size() > max_id_bytes) {
      refuse(fmt::format("an id has 1 to {} bytes, not {}", max_id_bytes, id.size()));
    }
    if (!is_utf8(id)) refuse("an id is not UTF-8");
    if (!ids.insert(id).second) refuse(fmt::format("the id \"{}\" is there twice", id));
  }
}

std::string wrap_all(std::string_view uuid, const Key& data_key, RecipientKeys recipients) {
  KeyBlob blob{std::string(uuid), commitment_to(data_key), {}};
  for (const auto& recipient : recipients) {
    auto wrapped = recipient->wrap(data_key.bytes(), wrap_context(uuid));
    if (wrapped.empty() || wrapped.size() > RecipientKey::max_wrapped_bytes) {
      throw CheckpointError(
          fmt::format("checkpoint: the key \"{}\" wrapped a data key as {} bytes; 1 to {} are allowed",
                      recipient->id(), wrapped.size(), RecipientKey::max_wrapped_bytes),
          key_blob_name);
    }
    blob.recipients.push_back({recipient->id(), std::move(wrapped)});
  }
  return to_text(blob);
}

}  // namespace

SealedKey seal(std::string_view uuid, RecipientKeys recipients) {
  check_recipients(recipients);
  check_uuid(uuid, key_blob_name);
  auto data_key = Key::random();
  auto text = wrap_all(uuid, data_key, recipients);
  return {std::move(data_key), std::move(text)};
}

OpenedKey open(std::string_view text, RecipientKeys keys, std::string_view file) {
  const auto blob = parse_key_blob(text, file);
  OpenedKey opened{Key(), blob.uuid};
  std::string failures, wanted, offered;
  for (const auto& recipient : blob.recipients) {
    wanted += fmt::format("{}\"{}\"", wanted.empty() ? "" : ", ", recipient.id);
  }
  for (const auto& key : keys) {
    if (key == nullptr) throw ConfigError("checkpoint: a key to open a checkpoint with is null");
    offered += fmt::format("{}\"{}\"", offered.empty() ? "" : ", ", key->id());
    const auto mine = std::ranges::find(blob.recipients, key->id(), &KeyBlob::Recipient::id);
    if (mine == blob.recipients.end()) continue;
    try {
      key->unwrap(mine->wrapped, wrap_context(blob.uuid), opened.data_key.bytes());
      if (equal_in_constant_time(commitment_to(opened.data_key), blob.commitment)) return opened;
      failures +=
          fmt::format("; \"{}\": it opens to another data key than the file's commitment tells", key->id());
    } catch (const CheckpointError& error) {
      failures += fmt::format("; \"{}\": {}", key->id(), error.what());
    }
  }
  const auto rule = failures.empty()
                        ? fmt::format("it is encrypted for {}, and none of them is among the keys given: {}",
                                      wanted, offered.empty() ? "none" : offered)
                        : fmt::format("no key given opens it{}", failures);
  throw CheckpointError(fmt::format("checkpoint: {}: {}", file, rule), file);
}

std::string rewrap(std::string_view text, RecipientKeys keys, RecipientKeys recipients,
                   std::string_view file) {
  check_recipients(recipients);
  const auto opened = open(text, keys, file);
  return wrap_all(opened.uuid, opened.data_key, recipients);
}

}  // namespace tutti::checkpoint
