// Hashes of what lies in files: XXH3 of 64 bits for each chunk, of 128 bits for headers and manifests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tutti::checkpoint {

std::uint64_t chunk_checksum(std::span<const std::byte> bytes);

// 32 hexadecimal digits.
std::string digest(std::string_view text);

// A power of two from 32 KiB on, such that a header has room for the checksums of `bytes` bytes.
std::uint64_t chunk_size_for(std::uint64_t bytes);

// 16 hexadecimal digits each.
void write_hex(std::span<const std::uint64_t> checksums, char* text);
// Throws std::invalid_argument for anything else.
std::vector<std::uint64_t> parse_hex(std::string_view text);

}  // namespace tutti::checkpoint
