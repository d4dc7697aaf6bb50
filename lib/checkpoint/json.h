// JSON from outside: parsed into a document, with what a document would hide refused.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace tutti::checkpoint {

// Throws CheckpointError, about `file`, for text that is no JSON, has an object with the same key twice, or is nested
// more than `depth` deep.
nlohmann::json parse_json(std::string_view text, const std::string& file, int depth);

// `text` in quotes. Throws nlohmann's type_error for text that is no UTF-8.
std::string in_quotes(const std::string& text);

}  // namespace tutti::checkpoint
