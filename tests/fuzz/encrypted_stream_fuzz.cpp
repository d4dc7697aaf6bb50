// An encrypted file, whatever is done to it, is refused by a CheckpointError or is what was encrypted. And any bytes at all
// are refused, as they were not encrypted with the key.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "checkpoint/stream_cipher.h"
#include "tests/fuzz/require.h"
#include "tutti/core/error.h"

namespace {

using namespace tutti;
using namespace tutti::checkpoint;
using test::require;

using Bytes = std::vector<std::byte>;

// As ==, but not byte by byte.
bool same(const Bytes& a, const Bytes& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

std::optional<Bytes> opened(const Key& key, std::span<const std::byte> file) {
  try {
    return decrypt(key, "data", file, "input");
  } catch (const CheckpointError&) {
    return std::nullopt;
  }
}

// Reads the input as a script.
class Script {
 public:
  Script(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  bool empty() const { return size_ == 0; }
  // Missing bytes are zeros.
  std::uint64_t number(std::size_t bytes) {
    std::uint64_t value = 0;
    const auto taken = std::min(bytes, size_);
    std::memcpy(&value, data_, taken);
    data_ += taken;
    size_ -= taken;
    return value;
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

void change(Bytes& file, Script& script) {
  const auto what = script.number(1) % 5;
  const auto place = script.number(3), other = script.number(3);
  const auto at = [&](std::uint64_t i) {
    return file.begin() + static_cast<std::ptrdiff_t>(i % (file.size() + 1));
  };
  const auto segments = file.size() / stream::segment_bytes;
  if (what == 0 && !file.empty()) file[place % file.size()] ^= static_cast<std::byte>(other);
  if (what == 1) file.resize(place % (file.size() + 1));
  if (what == 2) file.insert(at(place), other % 100, std::byte{1});
  if (what == 3) file.erase(std::min(at(place), at(other)), std::max(at(place), at(other)));
  if (what == 4 && segments > 1) {  // two segments that change places
    const auto a = place % segments * stream::segment_bytes, b = other % segments * stream::segment_bytes;
    static Bytes third(stream::segment_bytes);
    std::memcpy(third.data(), file.data() + a, third.size());
    std::memmove(file.data() + a, file.data() + b, third.size());
    std::memcpy(file.data() + b, third.data(), third.size());
  }
}

Key filled_with(unsigned char value) {
  Key key;
  std::ranges::fill(key.bytes(), std::byte{value});
  return key;
}

struct Encrypted {
  Bytes text, file;
};

// Made once, since that takes longer than all that is done to it. Small ones, but for two above a segment, of which one has
// few bytes in its last and one many: they take as long as a thousand others.
const Encrypted& encrypted(const Key& key, std::uint64_t kind) {
  static std::array<Encrypted, 256> made;
  auto& [text, file] = made[kind];
  if (file.empty()) {
    text.resize(kind < 254 ? kind : kind < 255 ? stream::segment_bytes + kind : 3'000'000);
    for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<std::byte>(i % 251);
    file = encrypt(key, "data", text);
    require(file.size() == stream::ciphertext_bytes(text.size()), "the size is that of the layout");
  }
  return made[kind];
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Any bytes are tried with another key than files are made by: a fuzzer that sees comparisons finds those files.
  static const Key key = filled_with(42), another = filled_with(43);
  require(!opened(another, std::as_bytes(std::span(data, size))), "what was not encrypted is refused");

  Script script(data, size);
  const auto& [text, whole] = encrypted(key, script.number(1));
  static Bytes file;
  file = whole;
  while (!script.empty()) change(file, script);
  const auto got = opened(key, file);
  require(got.has_value() == same(file, whole), "only the file as it was encrypted is opened");
  if (got) require(same(*got, text), "it opens to the text");
  return 0;
}
