#include "checkpoint/key_blob_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "checkpoint/binding.h"
#include "checkpoint/hex.h"
#include "checkpoint/key_blob.h"
#include "checkpoint/stream_layout.h"
#include "checkpoint/strict_json.h"
#include "tutti/core/error.h"

namespace tutti::checkpoint {
namespace {

using Json = nlohmann::json;

[[noreturn]] void refuse(std::string_view file, std::string_view rule) {
  throw CheckpointError(fmt::format("checkpoint: {}: {}", file, rule), file);
}

// Exactly these, so that nothing passes unread.
void check_fields(const Json& object, std::string_view what, std::initializer_list<const char*> fields,
                  std::string_view file) {
  if (!object.is_object()) refuse(file, fmt::format("{} is no object", what));
  for (const auto* field : fields) {
    if (!object.contains(field)) refuse(file, fmt::format("{} has no \"{}\"", what, field));
  }
  for (const auto& item : object.items()) {
    if (std::ranges::find(fields, std::string_view(item.key())) == fields.end()) {
      refuse(file, fmt::format("{} has an unknown field \"{}\"", what, item.key()));
    }
  }
}

const std::string& string_at(const Json& object, const char* field, std::string_view file) {
  const auto& value = object[field];
  if (!value.is_string()) refuse(file, fmt::format("\"{}\" is no string", field));
  return value.get_ref<const std::string&>();
}

KeyBlob::Recipient parse_recipient(const Json& json, std::string_view file) {
  check_fields(json, "a recipient", {"id", "wrapped"}, file);
  KeyBlob::Recipient recipient{string_at(json, "id", file), {}};
  if (recipient.id.empty() || recipient.id.size() > max_id_bytes) {
    refuse(file,
           fmt::format("the id of a recipient has 1 to {} bytes, not {}", max_id_bytes, recipient.id.size()));
  }
  const auto& digits = string_at(json, "wrapped", file);
  recipient.wrapped.resize(digits.size() / 2);
  if (digits.empty() || recipient.wrapped.size() > RecipientKey::max_wrapped_bytes ||
      !from_hex(digits, recipient.wrapped)) {
    refuse(file, fmt::format("\"wrapped\" of \"{}\" is 1 to {} bytes as hexadecimal digits", recipient.id,
                             RecipientKey::max_wrapped_bytes));
  }
  return recipient;
}

}  // namespace

bool is_utf8(const std::string& text) {
  try {
    Json(text).dump();
    return true;
  } catch (const Json::type_error&) {
    return false;
  }
}

std::string to_text(const KeyBlob& blob) {
  auto recipients = nlohmann::ordered_json::array();
  for (const auto& [id, wrapped] : blob.recipients)
    recipients.push_back({{"id", id}, {"wrapped", to_hex(wrapped)}});
  const nlohmann::ordered_json json{{"format", encryption_format},
                                    {"checkpoint", blob.uuid},
                                    {"algorithm", stream::algorithm},
                                    {"commitment", to_hex(blob.commitment)},
                                    {"recipients", std::move(recipients)}};
  return json.dump(2) + '\n';
}

KeyBlob parse_key_blob(std::string_view text, std::string_view file) {
  if (text.size() > max_key_blob_bytes) {
    refuse(file, fmt::format("it has {} bytes, and at most {} are allowed", text.size(), max_key_blob_bytes));
  }
  const auto json = parse_strict(text, file, 3);
  if (!json.is_object() || !json.contains("format")) refuse(file, "it is no object with a \"format\"");
  // Before the other fields, which another format may not have.
  if (!json["format"].is_number_unsigned() || json["format"] != encryption_format) {
    refuse(file, fmt::format("its format is {}, and this Tutti reads {}", json["format"].dump(),
                             encryption_format));
  }
  check_fields(json, "it", {"format", "checkpoint", "algorithm", "commitment", "recipients"}, file);
  if (const auto& algorithm = string_at(json, "algorithm", file); algorithm != stream::algorithm) {
    refuse(file,
           fmt::format("its algorithm is \"{}\", and this Tutti reads {}", algorithm, stream::algorithm));
  }
  KeyBlob blob{string_at(json, "checkpoint", file), {}, {}};
  check_uuid(blob.uuid, file);
  if (!from_hex(string_at(json, "commitment", file), blob.commitment)) {
    refuse(file, fmt::format("\"commitment\" is {} hexadecimal digits", 2 * blob.commitment.size()));
  }
  const auto& recipients = json["recipients"];
  if (!recipients.is_array() || recipients.empty() || recipients.size() > max_recipients) {
    refuse(file, fmt::format("\"recipients\" is a list of 1 to {}", max_recipients));
  }
  std::set<std::string> ids;
  for (const auto& recipient : recipients) {
    blob.recipients.push_back(parse_recipient(recipient, file));
    const auto& id = blob.recipients.back().id;
    if (!ids.insert(id).second) refuse(file, fmt::format("the recipient \"{}\" is there twice", id));
  }
  return blob;
}

}  // namespace tutti::checkpoint
