// Bytes as hexadecimal digits.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace tutti::checkpoint {

std::string to_hex(std::span<const std::byte> bytes);

// False unless `digits` are two for each byte of `bytes`, of either case.
[[nodiscard]] bool from_hex(std::string_view digits, std::span<std::byte> bytes);

}  // namespace tutti::checkpoint
