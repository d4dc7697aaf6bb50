#include "checkpoint/checksum.h"

#include <fmt/format.h>

#include <charconv>
#include <stdexcept>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace tutti::checkpoint {

std::uint64_t chunk_checksum(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

std::string digest(std::string_view text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

std::uint64_t chunk_size_for(std::uint64_t bytes) {
  constexpr std::uint64_t most_chunks = 1 << 19;  // 8 MiB of header
  std::uint64_t size = 32 << 10;
  while (bytes / size >= most_chunks) size *= 2;
  return size;
}

void write_hex(std::span<const std::uint64_t> checksums, char* text) {
  for (const auto checksum : checksums) text = fmt::format_to(text, "{:016x}", checksum);
}

std::vector<std::uint64_t> parse_hex(std::string_view text) {
  std::vector<std::uint64_t> checksums(text.size() / 16);
  if (text.size() % 16 != 0) throw std::invalid_argument("checksums are 16 digits each");
  for (auto& checksum : checksums) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + 16, checksum, 16);
    if (error != std::errc() || end != text.data() + 16) throw std::invalid_argument("no hexadecimal number");
    text.remove_prefix(16);
  }
  return checksums;
}

}  // namespace tutti::checkpoint
