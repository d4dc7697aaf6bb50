#include "checkpoint/crypto.h"
#include "tutti/core/error.h"

namespace tutti::checkpoint {
namespace {

[[noreturn]] void not_built() {
  throw ConfigError(
      "checkpoint: encryption needs OpenSSL, but this Tutti was built without it (TUTTI_OPENSSL=OFF, or no "
      "libssl-dev "
      "when it was configured)");
}

}  // namespace

void random_bytes(std::span<std::byte>) { not_built(); }

void hkdf_sha256(std::span<const std::byte>, std::span<const std::byte>, std::string_view,
                 std::span<std::byte>) {
  not_built();
}

bool equal_in_constant_time(std::span<const std::byte>, std::span<const std::byte>) { not_built(); }

struct AesGcm::Cipher {};

AesGcm::AesGcm(Key) { not_built(); }
AesGcm::AesGcm(AesGcm&&) noexcept = default;
AesGcm::~AesGcm() = default;

void AesGcm::seal(std::span<const std::byte, nonce_bytes>, std::string_view, std::span<const std::byte>,
                  std::span<std::byte>) const {
  not_built();
}

bool AesGcm::open(std::span<const std::byte, nonce_bytes>, std::string_view, std::span<const std::byte>,
                  std::span<std::byte>) const {
  not_built();
}

}  // namespace tutti::checkpoint
