// Where the bytes of an encrypted file stand: Tink's streaming AEAD AES256-GCM-HKDF-1MB.
//
//     segment i      at byte i * 1 MiB of the file; all but the last are full
//     its bytes      (segment 0 alone: header of 40 bytes) | ciphertext | tag of 16 bytes
//     header         0x28 | salt of 32 bytes | nonce prefix of 7 bytes
//     key            HKDF-SHA256(data key, salt, info = associated data)
//     nonce          prefix | segment number, 4 bytes, most significant first | 1 in the last segment, else 0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "checkpoint/crypto.h"

namespace tutti::checkpoint::stream {

inline constexpr std::string_view algorithm = "AES256-GCM-HKDF-1MB";
inline constexpr std::uint64_t segment_bytes = std::uint64_t{1} << 20;
inline constexpr std::size_t salt_bytes = 32;
inline constexpr std::size_t prefix_bytes = 7;
inline constexpr std::size_t header_bytes = 1 + salt_bytes + prefix_bytes;
inline constexpr std::uint64_t max_segments = std::uint64_t{1} << 32;

// Plaintext of a full segment, and what segment 0 has less of it.
inline constexpr std::uint64_t segment_plaintext_bytes = segment_bytes - tag_bytes;
inline constexpr std::uint64_t max_plaintext_bytes = max_segments * segment_plaintext_bytes - header_bytes;

// Plaintext bytes [begin, end).
struct Range {
  std::uint64_t begin;
  std::uint64_t end;
};

// At least one: an empty file has an empty segment.
std::uint64_t segment_count(std::uint64_t plaintext_bytes);

// The size of the file. Throws CheckpointError above max_plaintext_bytes (4 PiB).
std::uint64_t ciphertext_bytes(std::uint64_t plaintext_bytes);

// Throws CheckpointError about `file` for a size that no encrypted file has.
std::uint64_t plaintext_bytes(std::uint64_t ciphertext_bytes, std::string_view file);

std::uint64_t segment_of(std::uint64_t plaintext_offset);

// What segment `segment` holds of a text of `plaintext_bytes` bytes.
Range plaintext_range(std::uint64_t segment, std::uint64_t plaintext_bytes);

// The bytes of that segment in the file; the header is of segment 0.
std::uint64_t bytes_of_segment(std::uint64_t segment, std::uint64_t plaintext_bytes);

}  // namespace tutti::checkpoint::stream
