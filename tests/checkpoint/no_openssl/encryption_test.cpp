// Without OpenSSL, encryption is refused; checkpoints in plaintext are not.
#include <gmock/gmock.h>

#include "tests/support/files.h"
#include "tutti/checkpoint/encryption.h"
#include "tutti/core/error.h"

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

}  // namespace
}  // namespace tutti
