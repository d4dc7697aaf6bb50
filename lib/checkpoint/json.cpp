#include "checkpoint/json.h"

#include <fmt/format.h>

#include <set>
#include <vector>

#include "tutti/core/error.h"

namespace tutti::checkpoint {

using nlohmann::json;

json parse_json(std::string_view text, const std::string& file, int depth) {
  const auto refuse = [&](std::string_view rule) {
    throw CheckpointError(fmt::format("checkpoint: {}: {}", file, rule), file);
  };
  // The JSON library takes a NUL for the end of its input.
  if (text.find('\0') != std::string_view::npos) refuse("a NUL byte");
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int level, json::parse_event_t event, json& value) {
    if (level > depth) refuse(fmt::format("it is nested more than {} deep", depth));
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second) {
      refuse(fmt::format("duplicate key \"{}\"", value.get<std::string>()));
    }
    return true;
  };
  try {
    return json::parse(text, watch);
  } catch (const json::exception& error) {
    refuse(fmt::format("it is no JSON: {}", error.what()));
  }
  return {};
}

std::string in_quotes(const std::string& text) { return json(text).dump(); }

}  // namespace tutti::checkpoint
