// Texts, keys and what is thrown about them.
#pragma once

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/key_blob.h"
#include "checkpoint/stream_cipher.h"
#include "tests/support/files.h"
#include "tutti/core/error.h"

namespace tutti::test {

using Bytes = std::vector<std::byte>;
using SharedKey = std::shared_ptr<const RecipientKey>;

inline constexpr const char* uuid_a = "00000000-0000-4000-8000-00000000000a";
inline constexpr const char* uuid_b = "00000000-0000-4000-8000-00000000000b";

// What the first segment of a stream holds, and each other.
inline constexpr std::uint64_t in_first =
    checkpoint::stream::segment_bytes - checkpoint::stream::header_bytes - checkpoint::tag_bytes;
inline constexpr std::uint64_t in_other = checkpoint::stream::segment_bytes - checkpoint::tag_bytes;

// Byte i is i * 7 % 251: no two segments are alike.
inline Bytes text_of(std::size_t size) {
  constexpr std::size_t period = 251;
  Bytes text(size);
  for (std::size_t i = 0; i < std::min(size, period); ++i) text[i] = static_cast<std::byte>(i * 7 % period);
  for (std::size_t at = period; at < size; at *= 2)
    std::memcpy(&text[at], text.data(), std::min(at, size - at));
  return text;
}

inline std::string to_string(const Bytes& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Bytes to_bytes(std::string_view text) {
  Bytes bytes(text.size());
  std::ranges::copy(std::as_bytes(std::span(text)), bytes.data());
  return bytes;
}

inline checkpoint::Key key_of(int first) {
  checkpoint::Key key;
  std::ranges::generate(key.bytes(), [&] { return static_cast<std::byte>(first++); });
  return key;
}

inline SharedKey a_key(const TemporaryDirectory& directory, const char* name) {
  new_key_file(directory / name);
  return key_file(directory / name);
}

// Matches a call that throws a CheckpointError about `file` at `offset`.
inline auto refuses(const std::string& file, std::int64_t offset, const std::string& text) {
  using namespace testing;
  return Throws<CheckpointError>(AllOf(Property("file", &CheckpointError::file, file),
                                       Property("offset", &CheckpointError::offset, offset),
                                       Property("what", &CheckpointError::what, HasSubstr(text))));
}

inline constexpr const char* changed =
    "this segment was changed, or is of another file, step, checkpoint or key";

}  // namespace tutti::test
