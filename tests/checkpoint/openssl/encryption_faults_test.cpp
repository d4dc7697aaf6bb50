// What may befall an encrypted checkpoint, by the numbers of the list of faults.
#define OPENSSL_SUPPRESS_DEPRECATED  // nothing newer replaces the generator of a process
#include <openssl/rand.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "checkpoint/atomic_file.h"
#include "checkpoint/binding.h"
#include "checkpoint/encrypted_names.h"
#include "encryption_support.h"

namespace tutti::checkpoint {
namespace {

using namespace test;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::uint64_t segment = stream::segment_bytes;

class EncryptionFaults : public testing::Test {
 protected:
  TemporaryDirectory directory_;
  SharedKey ours_ = a_key(directory_, "ours"), theirs_ = a_key(directory_, "theirs");
  const std::vector<SharedKey> our_keys_{ours_}, their_keys_{theirs_};
  SealedKey sealed_ = seal(uuid_a, our_keys_);

  std::string changed_text(const std::function<void(nlohmann::json&)>& change) const {
    auto json = nlohmann::json::parse(sealed_.text);
    change(json);
    return json.dump();
  }
  auto opening(std::string text) const {
    return [this, text = std::move(text)] { open(text, our_keys_, "keys.json"); };
  }
};

TEST_F(EncryptionFaults, Fault71_WrongKey) {
  EXPECT_THAT([&] { open(sealed_.text, their_keys_, "keys.json"); },
              refuses("keys.json", -1,
                      "it is encrypted for \"" + ours_->id() +
                          "\", and none of them is among the keys given: \"" + theirs_->id() + "\""));
  EXPECT_THAT(
      opening(changed_text([&](auto& json) {
        json["recipients"][0]["wrapped"] = nlohmann::json::parse(
            seal(uuid_a, our_keys_).text)["recipients"][0]["wrapped"];  // another data key, for the same key
      })),
      refuses("keys.json", -1, "opens to another data key than the file's commitment tells"));
  EXPECT_THAT(opening(changed_text([&](auto& json) {
                json["recipients"][0] =
                    nlohmann::json::parse(seal(uuid_a, their_keys_).text)["recipients"][0];
                json["recipients"][0]["id"] = ours_->id();
              })),
              refuses("keys.json", -1, "does not open this"));
  const auto file = encrypt(sealed_.data_key, "data", text_of(9));
  EXPECT_THAT([&] { decrypt(key_of(0), "data", file, "f"); }, refuses("f", 0, changed));
}

TEST_F(EncryptionFaults, Fault72_NoKeyAndNoPlaintextInstead) {
  EXPECT_THAT([&] { open(sealed_.text, {}, "keys.json"); },
              refuses("keys.json", -1, "none of them is among the keys given: none"));
  const std::vector<std::string> plain{"manifest.json", "model.safetensors"};
  const std::vector<std::string> encrypted{"keys.json", "manifest.json.enc", "model.safetensors.enc"};
  EXPECT_THAT([&] { require_encrypted(plain, "step-0000000100"); },
              refuses("step-0000000100", -1, "encryption is asked for, but there is no keys.json"));
  EXPECT_THAT([&] { require_plaintext(encrypted, "step-0000000100"); },
              refuses("step-0000000100", -1, "it is encrypted (keys.json), and no keys are given"));
  EXPECT_NO_THROW(require_encrypted(encrypted, "step-0000000100"));
  EXPECT_NO_THROW(require_plaintext(plain, "step-0000000100"));
  EXPECT_EQ(encrypted_name("manifest.json"), "manifest.json.enc");
  EXPECT_THAT([&] { seal(uuid_a, {}); }, ThrowsMessage<ConfigError>(HasSubstr("1 to 100 of them, not 0")));
}

TEST_F(EncryptionFaults, Fault73_SegmentsMoved) {
  const auto& key = sealed_.data_key;
  const auto text = text_of(stream::plaintext_bytes(4 * segment, "f") - 1000);
  const auto whole = encrypt(key, "data", text);
  const auto at = [](Bytes& bytes, std::uint64_t i) {
    return bytes.begin() + static_cast<std::ptrdiff_t>(i * segment);
  };
  const auto refused = [&](const char* what, std::int64_t offset, const std::function<void(Bytes&)>& change) {
    SCOPED_TRACE(what);
    auto bad = whole;
    change(bad);
    EXPECT_THAT([&] { decrypt(key, "data", bad, "f"); }, refuses("f", offset, changed));
  };
  refused("swapped", segment, [&](Bytes& bad) { std::swap_ranges(at(bad, 1), at(bad, 2), at(bad, 2)); });
  refused("dropped", segment, [&](Bytes& bad) { bad.erase(at(bad, 1), at(bad, 2)); });
  refused("doubled", 2 * segment, [&](Bytes& bad) {
    const Bytes copy(at(bad, 1), at(bad, 2));
    bad.insert(at(bad, 2), copy.begin(), copy.end());
  });
  refused("cut between segments", 2 * segment, [&](Bytes& bad) { bad.resize(3 * segment); });
  refused("cut within the last", 3 * segment, [&](Bytes& bad) { bad.pop_back(); });
  refused("longer", 3 * segment, [&](Bytes& bad) { bad.push_back(std::byte{}); });
  refused("one of another stream", 2 * segment, [&](Bytes& bad) {
    auto another = encrypt(key, "data", text);
    std::copy(at(another, 2), at(another, 3), at(bad, 2));
  });
  // The last segment of a stream that ends there, inside a longer one, and the other way round.
  const auto two = stream::plaintext_bytes(2 * segment, "f");
  refused("a last one in the middle", segment, [&](Bytes& bad) {
    auto shorter = encrypt(key, "data", std::span(text).first(two));
    std::copy(at(shorter, 1), at(shorter, 2), at(bad, 1));
    std::copy_n(shorter.begin(), segment, bad.begin());
  });
  EXPECT_TRUE(decrypt(key, "data", whole, "f") == text);
}

TEST_F(EncryptionFaults, Fault74_FileOfAnotherCheckpoint) {
  const auto text = text_of(100);
  const auto file = encrypt(sealed_.data_key, associated_data(uuid_a, 100, "shard-0"), text);
  for (const auto& data : {associated_data(uuid_b, 100, "shard-0"), associated_data(uuid_a, 200, "shard-0"),
                           associated_data(uuid_a, 100, "shard-1")}) {
    EXPECT_THAT([&] { decrypt(sealed_.data_key, data, file, "f"); }, refuses("f", 0, changed)) << data;
  }
  // Same recipient, so its key opens both; the data keys differ.
  const auto other = seal(uuid_b, our_keys_);
  EXPECT_FALSE(std::ranges::equal(other.data_key.bytes(), sealed_.data_key.bytes()));
  EXPECT_THAT([&] { decrypt(other.data_key, associated_data(uuid_a, 100, "shard-0"), file, "f"); },
              refuses("f", 0, changed));
  EXPECT_THAT(opening(changed_text([&](auto& json) { json["checkpoint"] = uuid_b; })),
              refuses("keys.json", -1, "or is of another checkpoint"));
}

TEST_F(EncryptionFaults, Fault75_AlgorithmOrSegmentSizeChanged) {
  EXPECT_THAT(opening(changed_text([](auto& json) { json["algorithm"] = "AES256-GCM-HKDF-4KB"; })),
              refuses("keys.json", -1,
                      "its algorithm is \"AES256-GCM-HKDF-4KB\", and this Tutti reads AES256-GCM-HKDF-1MB"));
  EXPECT_THAT(opening(changed_text([](auto& json) { json["format"] = 2; })),
              refuses("keys.json", -1, "its format is 2, and this Tutti reads 1"));
  EXPECT_THAT(opening(changed_text([](auto& json) { json["commitment"] = std::string(64, '0'); })),
              refuses("keys.json", -1, "commitment"));
  auto file = encrypt(sealed_.data_key, "data", text_of(100));
  file[0] = std::byte{0x18};  // the header of AES128-GCM-HKDF
  EXPECT_THAT([&] { decrypt(sealed_.data_key, "data", file, "f"); },
              refuses("f", 0, "begins with 0x28, not 0x18"));
}

TEST_F(EncryptionFaults, Fault76_PlaintextAmongTheEncrypted) {
  const auto manifest =
      to_bytes(R"({"format": 1, "uuid": "00000000", "files": {"shard-0": {"bytes": 12345678}}})");
  EXPECT_THAT([&] { decrypt(sealed_.data_key, "data", manifest, "manifest.json.enc"); },
              refuses("manifest.json.enc", 0, "begins with 0x28, not 0x7b"));
  const std::vector<std::string> mixed{"keys.json", "manifest.json", "manifest.json.enc"};
  EXPECT_THAT([&] { require_encrypted(mixed, "step-0000000100"); },
              refuses("step-0000000100", -1, "encryption is asked for, but manifest.json is not encrypted"));
  EXPECT_THAT([&] { require_plaintext(mixed, "step-0000000100"); },
              refuses("step-0000000100", -1, "it is encrypted"));
}

// OpenSSL's generator, out of order for as long as the object lives.
class BrokenRandomness {
 public:
  BrokenRandomness() { RAND_set_rand_method(&broken); }
  BrokenRandomness(const BrokenRandomness&) = delete;
  BrokenRandomness& operator=(const BrokenRandomness&) = delete;
  ~BrokenRandomness() { RAND_set_rand_method(RAND_OpenSSL()); }

 private:
  static constexpr RAND_METHOD broken = {nullptr, [](unsigned char*, int) { return 0; }, nullptr,
                                         nullptr, [](unsigned char*, int) { return 0; }, nullptr};
};

TEST_F(EncryptionFaults, Fault77_NoRandomnessNoEncryption) {
  {
    const BrokenRandomness broken;
    const auto said = HasSubstr("the random generator failed");
    EXPECT_THAT([&] { encrypt(sealed_.data_key, "data", text_of(9)); }, ThrowsMessage<CheckpointError>(said));
    EXPECT_THAT([&] { seal(uuid_b, our_keys_); }, ThrowsMessage<CheckpointError>(said));
    EXPECT_THAT([&] { ours_->wrap(sealed_.data_key.bytes(), "c"); }, ThrowsMessage<CheckpointError>(said));
    EXPECT_THAT([&] { new_key_file(directory_ / "none"); }, ThrowsMessage<CheckpointError>(said));
    EXPECT_FALSE(std::filesystem::exists(directory_ / "none"));
  }
  EXPECT_NO_THROW(encrypt(sealed_.data_key, "data", text_of(9)));
}

TEST_F(EncryptionFaults, Fault77_NoNonceTwice) {
  std::set<Bytes> headers;
  for (int i = 0; i < 100; ++i) {
    auto file = encrypt(sealed_.data_key, "data", text_of(9));
    file.resize(stream::header_bytes);
    headers.insert(file);
  }
  EXPECT_EQ(headers.size(), 100u);
  StreamEncryptor encryptor(sealed_.data_key, "data", 9);
  Bytes out(stream::ciphertext_bytes(9));
  encryptor.encrypt(0, text_of(9), out);
  EXPECT_THAT([&] { encryptor.encrypt(0, text_of(9), out); },
              ThrowsMessage<CheckpointError>(
                  HasSubstr("segment 0 is encrypted already: its nonce would serve twice")));
}

TEST_F(EncryptionFaults, Fault78_Rotation) {
  const auto text = text_of(5000);
  const auto file = encrypt(sealed_.data_key, "data", text);
  const auto rotated = rewrap(sealed_.text, our_keys_, their_keys_, "keys.json");
  const auto opened = open(rotated, their_keys_, "keys.json");
  EXPECT_EQ(opened.uuid, uuid_a);
  EXPECT_TRUE(decrypt(opened.data_key, "data", file, "f") == text);
  EXPECT_THAT(opening(rotated), refuses("keys.json", -1, "none of them is among the keys given"));  // revoked
  EXPECT_THAT([&] { rewrap(sealed_.text, their_keys_, their_keys_, "keys.json"); },
              refuses("keys.json", -1, "none of them is among the keys given"));

  // Both for a while; each opens by itself.
  const std::vector<SharedKey> both{theirs_, ours_};
  const auto shared = rewrap(sealed_.text, our_keys_, both, "keys.json");
  for (const auto& keys : {our_keys_, their_keys_, both}) {
    EXPECT_TRUE(decrypt(open(shared, keys, "keys.json").data_key, "data", file, "f") == text);
  }
}

// A key service that is down in the middle: the file is written after the last wrap, so it is as it was.
class DeadKey : public RecipientKey {
 public:
  const std::string& id() const override { return id_; }
  std::vector<std::byte> wrap(std::span<const std::byte, 32>, std::string_view) const override {
    throw CheckpointError("the service is down", "");
  }
  void unwrap(std::span<const std::byte>, std::string_view, std::span<std::byte, 32>) const override {
    throw CheckpointError("the service is down", "");
  }

 private:
  std::string id_ = "dead";
};

TEST_F(EncryptionFaults, Fault78_InterruptedRotation) {
  const std::vector<SharedKey> half{theirs_, std::make_shared<DeadKey>()};
  EXPECT_THAT([&] { rewrap(sealed_.text, our_keys_, half, "keys.json"); },
              ThrowsMessage<CheckpointError>(HasSubstr("the service is down")));

  const auto path = directory_ / "keys.json";
  write_file(path, sealed_.text);
  {
    AtomicFile unfinished(path);
    const auto rotated = rewrap(sealed_.text, our_keys_, their_keys_, path);
    unfinished.write(rotated.data(), rotated.size() / 2);
  }
  EXPECT_NO_THROW(open(read_file(path), our_keys_, path));

  // A key that cannot be asked does not keep another from opening; alone, it says why.
  const auto dead = std::make_shared<DeadKey>();
  auto json = nlohmann::json::parse(sealed_.text);
  json["recipients"].push_back({{"id", "dead"}, {"wrapped", "00"}});
  const std::vector<SharedKey> dead_first{dead, ours_}, dead_alone{dead};
  EXPECT_NO_THROW(open(json.dump(), dead_first, "keys.json"));
  EXPECT_THAT([&] { open(json.dump(), dead_alone, "keys.json"); },
              refuses("keys.json", -1, "no key given opens it; \"dead\": the service is down"));
}

}  // namespace
}  // namespace tutti::checkpoint
