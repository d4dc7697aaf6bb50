// Without OpenSSL, encryption is refused; checkpoints in plaintext are not.
#include <gmock/gmock.h>

#include "tests/support/files.h"
#include "tutti/checkpoint/encryption.h"
#include "tutti/checkpoint/exchange.h"
#include "tutti/checkpoint/safetensors.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Encryption, IsRefusedByNamingWhatIsMissing) {
  const test::TemporaryDirectory directory;
  EXPECT_THAT([&] { new_key_file(directory / "key"); },
              ThrowsMessage<ConfigError>(HasSubstr("needs OpenSSL, but this Tutti was built without it")));
  EXPECT_EQ(test::files_in(directory.path()), 0u);
}

TEST(Encryption, IsNotLeftOutOfAnImport) {
  const test::TemporaryDirectory directory;
  const auto source = directory / "model.safetensors", run = directory / "run";
  safetensors::save(source, {{"weight", ones({3})}});
  const Encryption encryption{{key_command({.wrap = {"cat"}, .unwrap = {}, .id = "a service"})}};
  EXPECT_THAT(
      [&] { checkpoint::import_safetensors(source, run + "/step-0000000000", {.encrypt = encryption}); },
      ThrowsMessage<ConfigError>(HasSubstr("needs OpenSSL, but this Tutti was built without it")));
  EXPECT_EQ(test::files_in(run), 1u);  // its lock
}

}  // namespace
}  // namespace tutti
