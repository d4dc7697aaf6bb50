// JSON from outside, as a document that hides nothing.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace tutti::checkpoint {

// Throws CheckpointError about `file` for what is no JSON, for a key twice in one object, and for objects and arrays
// nested deeper than `max_depth`.
nlohmann::json parse_strict(std::string_view text, std::string_view file, int max_depth);

// `text` as JSON, in quotes. Throws nlohmann's type_error for text that is no UTF-8.
std::string in_quotes(const std::string& text);

}  // namespace tutti::checkpoint
