// The primitives of encrypted checkpoints, from OpenSSL. Where Tutti was built without it, each throws a ConfigError
// that says so.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "checkpoint/secret.h"

namespace tutti::checkpoint {

inline constexpr std::size_t nonce_bytes = 12;
inline constexpr std::size_t tag_bytes = 16;

// Throws CheckpointError when the generator fails: nothing may be encrypted with what it left.
void random_bytes(std::span<std::byte> out);

// HKDF-SHA256 of RFC 5869; an empty salt is none.
void hkdf_sha256(std::span<const std::byte> key, std::span<const std::byte> salt, std::string_view info,
                 std::span<std::byte> out);

// Takes as long for equal bytes as for others.
bool equal_in_constant_time(std::span<const std::byte> a, std::span<const std::byte> b);

// AES-256-GCM under one key; several threads may use one object at a time.
class AesGcm {
 public:
  explicit AesGcm(Key key);
  AesGcm(AesGcm&&) noexcept;
  ~AesGcm();

  // `sealed` is the ciphertext and the tag: as long as `plain` and the tag. A nonce is for one text alone.
  void seal(std::span<const std::byte, nonce_bytes> nonce, std::string_view associated_data,
            std::span<const std::byte> plain, std::span<std::byte> sealed) const;

  // False when `sealed` is not what was sealed under this key, nonce and associated data; `plain` is zeros then.
  [[nodiscard]] bool open(std::span<const std::byte, nonce_bytes> nonce, std::string_view associated_data,
                          std::span<const std::byte> sealed, std::span<std::byte> plain) const;

 private:
  struct Cipher;
  Key key_;
  std::unique_ptr<Cipher> cipher_;
};

}  // namespace tutti::checkpoint
