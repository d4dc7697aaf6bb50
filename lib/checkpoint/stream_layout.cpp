#include "checkpoint/stream_layout.h"

#include <fmt/format.h>

#include <algorithm>

#include "tutti/core/error.h"

namespace tutti::checkpoint::stream {

// With the header counted as text that segment 0 holds, all segments are alike.

std::uint64_t segment_of(std::uint64_t plaintext_offset) {
  return (plaintext_offset + header_bytes) / segment_plaintext_bytes;
}

std::uint64_t segment_count(std::uint64_t plaintext_bytes) {
  return plaintext_bytes == 0 ? 1 : segment_of(plaintext_bytes - 1) + 1;
}

std::uint64_t ciphertext_bytes(std::uint64_t plaintext_bytes) {
  if (plaintext_bytes > max_plaintext_bytes) {
    throw CheckpointError(fmt::format("checkpoint: an encrypted file holds at most {} bytes, not {}",
                                      max_plaintext_bytes, plaintext_bytes),
                          "");
  }
  return header_bytes + plaintext_bytes + segment_count(plaintext_bytes) * tag_bytes;
}

std::uint64_t plaintext_bytes(std::uint64_t ciphertext_bytes, std::string_view file) {
  const auto full = ciphertext_bytes / segment_bytes;
  const auto rest = ciphertext_bytes % segment_bytes;
  // A last segment holds text, unless it is the only one.
  const auto smallest = full == 0 ? header_bytes + tag_bytes : tag_bytes + 1;
  const auto segments = full + (rest > 0 ? 1 : 0);
  if (segments == 0 || (rest > 0 && rest < smallest) || segments > max_segments) {
    throw CheckpointError(
        fmt::format("checkpoint: {}: no encrypted file has {} bytes: it was cut, or is not encrypted", file,
                    ciphertext_bytes),
        file, static_cast<std::int64_t>(std::min<std::uint64_t>(ciphertext_bytes, INT64_MAX)));
  }
  return ciphertext_bytes - header_bytes - segments * tag_bytes;
}

Range plaintext_range(std::uint64_t segment, std::uint64_t plaintext_bytes) {
  const auto begin = segment == 0 ? 0 : segment * segment_plaintext_bytes - header_bytes;
  const auto end = (segment + 1) * segment_plaintext_bytes - header_bytes;
  return {std::min(begin, plaintext_bytes), std::min(end, plaintext_bytes)};
}

std::uint64_t bytes_of_segment(std::uint64_t segment, std::uint64_t plaintext_bytes) {
  const auto [begin, end] = plaintext_range(segment, plaintext_bytes);
  return (segment == 0 ? header_bytes : 0) + (end - begin) + tag_bytes;
}

}  // namespace tutti::checkpoint::stream
