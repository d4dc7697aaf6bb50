// keys.json as text: see key_blob.h.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tutti::checkpoint {

inline constexpr std::size_t max_id_bytes = 256;

struct KeyBlob {
  struct Recipient {
    std::string id;
    std::vector<std::byte> wrapped;
  };

  std::string uuid;
  std::array<std::byte, 32> commitment;
  std::vector<Recipient> recipients;
};

bool is_utf8(const std::string& text);

std::string to_text(const KeyBlob& blob);

// Throws CheckpointError about `file` when a rule is broken.
KeyBlob parse_key_blob(std::string_view text, std::string_view file);

}  // namespace tutti::checkpoint
