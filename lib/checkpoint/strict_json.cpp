#include "checkpoint/strict_json.h"

#include <fmt/format.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tutti/core/error.h"

namespace tutti::checkpoint {

nlohmann::json parse_strict(std::string_view text, std::string_view file, int max_depth) {
  using Json = nlohmann::json;
  const auto refuse = [&](std::string_view rule, std::int64_t offset = -1) {
    throw CheckpointError(fmt::format("checkpoint: {}: {}", file, rule), file, offset);
  };
  // The JSON library takes a NUL for the end of its input.
  if (text.find('\0') != std::string_view::npos) refuse("it is no JSON: a NUL byte");
  std::vector<std::set<std::string>> keys;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start) {
      if (depth >= max_depth) refuse(fmt::format("it is nested deeper than {}", max_depth));
    }
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key) {
      auto key = value.get<std::string>();
      if (!keys.back().insert(key).second) refuse(fmt::format("duplicate key \"{}\"", key));
    }
    return true;
  };
  try {
    return Json::parse(text, watch);
  } catch (const Json::parse_error& error) {
    refuse(fmt::format("it is no JSON: {}", error.what()), static_cast<std::int64_t>(error.byte));
  } catch (const Json::exception& error) {
    refuse(fmt::format("it is no JSON: {}", error.what()));
  }
  return {};
}

std::string in_quotes(const std::string& text) { return nlohmann::json(text).dump(); }

}  // namespace tutti::checkpoint
