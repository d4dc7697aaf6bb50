// One file encrypted, segment by segment: see stream_layout.h. What it is bound to is associated_data of
// binding.h. Segments come in any order and from several threads; the caller reads and writes the file.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/crypto.h"
#include "checkpoint/stream_layout.h"

namespace tutti::checkpoint {

class StreamEncryptor {
 public:
  // Draws a fresh salt and nonce prefix for a text of `plaintext_bytes` bytes. Throws CheckpointError as
  // random_bytes does and when the text is too long, ConfigError without OpenSSL.
  StreamEncryptor(const Key& data_key, std::string_view associated_data, std::uint64_t plaintext_bytes);

  std::uint64_t plaintext_bytes() const { return plaintext_bytes_; }
  std::uint64_t segment_count() const { return stream::segment_count(plaintext_bytes_); }

  // Fills `out`, which stands at byte `segment` * 1 MiB of the file, header included: bytes_of_segment bytes of
  // plaintext_range. Throws CheckpointError when the sizes are others, and for a segment that was encrypted before:
  // its nonce would serve twice.
  void encrypt(std::uint64_t segment, std::span<const std::byte> plain, std::span<std::byte> out);

 private:
  std::array<std::byte, stream::header_bytes> header_;
  AesGcm cipher_;
  std::uint64_t plaintext_bytes_;
  std::unique_ptr<std::atomic_flag[]> done_;
};

class StreamDecryptor {
 public:
  // `header` is the first 40 bytes of `file`, of `file_bytes` bytes in all: a cut file, or one whose last segments
  // were taken away, is found by that. Throws CheckpointError for a size or header that no encrypted file has.
  StreamDecryptor(const Key& data_key, std::string_view associated_data, std::string file,
                  std::uint64_t file_bytes, std::span<const std::byte, stream::header_bytes> header);

  std::uint64_t plaintext_bytes() const { return plaintext_bytes_; }
  std::uint64_t segment_count() const { return stream::segment_count(plaintext_bytes_); }

  // `sealed` is the whole segment as it stands in the file, header included. Throws CheckpointError with the offset
  // of the segment when it is not what was encrypted there: `plain` is zeros then.
  void decrypt(std::uint64_t segment, std::span<const std::byte> sealed, std::span<std::byte> plain) const;

 private:
  std::string file_;
  std::array<std::byte, stream::header_bytes> header_;
  std::uint64_t plaintext_bytes_;
  AesGcm cipher_;
};

// Small files as a whole: the same bytes.
std::vector<std::byte> encrypt(const Key& data_key, std::string_view associated_data,
                               std::span<const std::byte> plain);
std::vector<std::byte> decrypt(const Key& data_key, std::string_view associated_data,
                               std::span<const std::byte> sealed, const std::string& file);

}  // namespace tutti::checkpoint
