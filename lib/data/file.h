// Whole files in memory.
#pragma once

#include <string>
#include <string_view>

namespace tutti::data {

// Throws DataError that begins with `what` and names the file and the reason.
std::string read_file(std::string_view what, const std::string& path);

}  // namespace tutti::data
