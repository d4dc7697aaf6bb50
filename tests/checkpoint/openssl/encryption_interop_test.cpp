// Encrypted files exchanged with Google's Tink, by the script that users have for it.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>

#include "checkpoint/binding.h"
#include "checkpoint/encrypted_names.h"
#include "encryption_support.h"

namespace tutti::checkpoint {
namespace {

using namespace test;

constexpr std::uint64_t sizes[] = {0,
                                   1,
                                   in_first - 1,
                                   in_first,
                                   in_first + 1,
                                   3'000'000,
                                   in_first + in_other - 1,
                                   in_first + in_other,
                                   in_first + in_other + 1};

class EncryptionInterop : public testing::Test {
 protected:
  void SetUp() override {
    if (std::system(TUTTI_PYTHON " -c 'import tink, cryptography' 2>/dev/null") != 0) {
      GTEST_SKIP() << TUTTI_PYTHON
          " has no packages tink and cryptography; -DTUTTI_PYTHON=... names one that has";
    }
    std::filesystem::create_directory(checkpoint_);
    write_file(checkpoint_ + "/keys.json", sealed_.text);
  }

  int python(const std::string& arguments) const {
    return std::system(
        fmt::format("{} {} 2>{}/errors", TUTTI_PYTHON, arguments, directory_.path().string()).c_str());
  }
  int decrypt_all() const {
    return python(
        fmt::format("{}/decrypt.py {} {} {}", TUTTI_SCRIPTS, directory_ / "key", checkpoint_, plain_));
  }
  std::string errors() const { return read_file(directory_ / "errors"); }

  std::string file(const std::string& name) const { return checkpoint_ + '/' + encrypted_name(name); }
  static std::string name_of(std::uint64_t size) { return fmt::format("{}.safetensors", size); }

  TemporaryDirectory directory_;
  const std::vector<SharedKey> keys_{a_key(directory_, "key")};
  const SealedKey sealed_ = seal(uuid_a, keys_);
  const std::string checkpoint_ = directory_ / "step-0000000100", plain_ = directory_ / "plain";
};

TEST_F(EncryptionInterop, TinkDecryptsWhatTuttiEncrypts) {
  for (const auto size : sizes) {
    const auto data = associated_data(uuid_a, 100, name_of(size));
    write_file(file(name_of(size)), to_string(encrypt(sealed_.data_key, data, text_of(size))));
  }
  ASSERT_EQ(decrypt_all(), 0) << errors();
  EXPECT_EQ(files_in(plain_), std::size(sizes));
  for (const auto size : sizes) {
    EXPECT_TRUE(read_file(plain_ + '/' + name_of(size)) == to_string(text_of(size))) << size;
  }
}

TEST_F(EncryptionInterop, TuttiDecryptsWhatTinkEncrypts) {
  std::string arguments;
  for (const auto size : sizes) arguments += fmt::format(" {}={}", name_of(size), size);
  ASSERT_EQ(python(fmt::format("{}/openssl/encryption_write.py {} {}{}", TUTTI_TEST_SOURCES,
                               directory_ / "key", checkpoint_, arguments)),
            0)
      << errors();
  const auto opened = open(sealed_.text, keys_, "keys.json");
  for (const auto size : sizes) {
    const auto bytes = to_bytes(read_file(file(name_of(size))));
    EXPECT_EQ(bytes.size(), stream::ciphertext_bytes(size));
    const auto data = associated_data(uuid_a, 100, name_of(size));
    EXPECT_TRUE(decrypt(opened.data_key, data, bytes, name_of(size)) == text_of(size)) << size;
  }
}

TEST_F(EncryptionInterop, TheScriptRefusesWhatWasChanged) {
  const auto good = encrypt(sealed_.data_key, associated_data(uuid_a, 100, "a"), text_of(in_first + 100));
  auto bad = good;
  bad.back() ^= std::byte{1};
  write_file(file("a"), to_string(bad));
  EXPECT_NE(decrypt_all(), 0);
  EXPECT_FALSE(std::filesystem::exists(plain_ + "/a"));
  write_file(file("b"), to_string(good));  // under another name
  std::filesystem::remove(file("a"));
  EXPECT_NE(decrypt_all(), 0);
  new_key_file(directory_ / "another");
  std::filesystem::rename(directory_ / "another", directory_ / "key");
  EXPECT_NE(decrypt_all(), 0);
  EXPECT_THAT(errors(), testing::HasSubstr(keys_[0]->id()));
}

}  // namespace
}  // namespace tutti::checkpoint
