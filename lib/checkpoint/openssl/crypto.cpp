#include "checkpoint/crypto.h"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>

#include <algorithm>
#include <utility>

#include "tutti/core/error.h"

namespace tutti::checkpoint {
namespace {

template <auto release>
struct Release {
  template <typename T>
  void operator()(T* object) const {
    release(object);
  }
};

using Context = std::unique_ptr<EVP_CIPHER_CTX, Release<EVP_CIPHER_CTX_free>>;
using Kdf = std::unique_ptr<EVP_KDF, Release<EVP_KDF_free>>;
using KdfContext = std::unique_ptr<EVP_KDF_CTX, Release<EVP_KDF_CTX_free>>;

void check(bool done, std::string_view operation) {
  if (done) return;
  const char* const reason = ERR_reason_error_string(ERR_get_error());
  ERR_clear_error();  // the queue is the thread's, and the host's code reads it too
  throw CheckpointError(
      fmt::format("checkpoint: OpenSSL: {} failed: {}", operation, reason ? reason : "it does not say why"),
      "");
}

unsigned char* raw(std::span<std::byte> bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }
const unsigned char* raw(std::span<const std::byte> bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
const unsigned char* raw(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

OSSL_PARAM octets(const char* name, std::span<const std::byte> bytes) {
  // OpenSSL takes no const here, and does not write.
  return OSSL_PARAM_construct_octet_string(name, const_cast<std::byte*>(bytes.data()), bytes.size());
}

}  // namespace

void random_bytes(std::span<std::byte> out) {
  check(RAND_priv_bytes(raw(out), static_cast<int>(out.size())) == 1, "the random generator");
}

void hkdf_sha256(std::span<const std::byte> key, std::span<const std::byte> salt, std::string_view info,
                 std::span<std::byte> out) {
  const Kdf kdf(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
  check(kdf != nullptr, "HKDF");
  const KdfContext context(EVP_KDF_CTX_new(kdf.get()));
  check(context != nullptr, "HKDF");
  char digest[] = "SHA256";
  OSSL_PARAM parameters[5] = {OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
                              octets(OSSL_KDF_PARAM_KEY, key),
                              octets(OSSL_KDF_PARAM_INFO, std::as_bytes(std::span(info))),
                              OSSL_PARAM_construct_end(), OSSL_PARAM_construct_end()};
  if (!salt.empty()) parameters[3] = octets(OSSL_KDF_PARAM_SALT, salt);
  check(EVP_KDF_derive(context.get(), raw(out), out.size(), parameters) == 1, "HKDF");
}

bool equal_in_constant_time(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

struct AesGcm::Cipher {
  std::unique_ptr<EVP_CIPHER, Release<EVP_CIPHER_free>> evp;
};

AesGcm::AesGcm(Key key) : key_(std::move(key)), cipher_(std::make_unique<Cipher>()) {
  cipher_->evp.reset(EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr));
  check(cipher_->evp != nullptr, "AES-256-GCM");
}

AesGcm::AesGcm(AesGcm&&) noexcept = default;
AesGcm::~AesGcm() = default;

// A context of its own for each call: what it costs is nothing beside a segment, and threads share nothing.
void AesGcm::seal(std::span<const std::byte, nonce_bytes> nonce, std::string_view associated_data,
                  std::span<const std::byte> plain, std::span<std::byte> sealed) const {
  check(sealed.size() == plain.size() + tag_bytes, "AES-256-GCM: sizes");
  const Context context(EVP_CIPHER_CTX_new());
  int length = 0;
  check(context &&
            EVP_EncryptInit_ex2(context.get(), cipher_->evp.get(), raw(key_.bytes()), raw(nonce), nullptr),
        "AES-256-GCM");
  check(associated_data.empty() || EVP_EncryptUpdate(context.get(), nullptr, &length, raw(associated_data),
                                                     static_cast<int>(associated_data.size())),
        "AES-256-GCM");
  check(plain.empty() || EVP_EncryptUpdate(context.get(), raw(sealed), &length, raw(plain),
                                           static_cast<int>(plain.size())),
        "AES-256-GCM");
  check(EVP_EncryptFinal_ex(context.get(), raw(sealed), &length), "AES-256-GCM");
  check(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, tag_bytes, raw(sealed.last(tag_bytes))),
        "AES-256-GCM");
}

bool AesGcm::open(std::span<const std::byte, nonce_bytes> nonce, std::string_view associated_data,
                  std::span<const std::byte> sealed, std::span<std::byte> plain) const {
  check(sealed.size() == plain.size() + tag_bytes, "AES-256-GCM: sizes");
  const Context context(EVP_CIPHER_CTX_new());
  int length = 0;
  check(context &&
            EVP_DecryptInit_ex2(context.get(), cipher_->evp.get(), raw(key_.bytes()), raw(nonce), nullptr),
        "AES-256-GCM");
  check(associated_data.empty() || EVP_DecryptUpdate(context.get(), nullptr, &length, raw(associated_data),
                                                     static_cast<int>(associated_data.size())),
        "AES-256-GCM");
  check(plain.empty() || EVP_DecryptUpdate(context.get(), raw(plain), &length, raw(sealed),
                                           static_cast<int>(plain.size())),
        "AES-256-GCM");
  auto* const tag = const_cast<std::byte*>(sealed.data() + plain.size());  // read only
  check(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, tag_bytes, tag), "AES-256-GCM");
  unsigned char nothing = 0;
  if (EVP_DecryptFinal_ex(context.get(), plain.empty() ? &nothing : raw(plain), &length) == 1) return true;
  ERR_clear_error();
  std::ranges::fill(plain, std::byte{});
  return false;
}

}  // namespace tutti::checkpoint
