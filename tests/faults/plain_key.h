// A key for tests that wraps nothing.
#pragma once

#include <algorithm>
#include <memory>
#include <string>

#include "tutti/checkpoint/encryption.h"

namespace tutti::test {

class PlainKey : public RecipientKey {
 public:
  const std::string& id() const override { return id_; }
  std::vector<std::byte> wrap(std::span<const std::byte, data_key_bytes> data_key,
                              std::string_view) const override {
    return {data_key.begin(), data_key.end()};
  }
  void unwrap(std::span<const std::byte> wrapped, std::string_view,
              std::span<std::byte, data_key_bytes> data_key) const override {
    std::ranges::copy(wrapped, data_key.begin());
  }

 private:
  const std::string id_ = "plain";
};

}  // namespace tutti::test
