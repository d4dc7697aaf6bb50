// The encrypted stream: sizes, segments, and Tink's own bytes.
#include <numeric>
#include <thread>

#include "checkpoint/binding.h"
#include "checkpoint/hex.h"
#include "encryption_support.h"

namespace tutti::checkpoint {
namespace {

using test::Bytes;
using test::in_first;
using test::in_other;
using test::key_of;
using test::text_of;

TEST(EncryptionStream, RoundTripAtAllBoundaries) {
  const auto key = key_of(0);
  for (const std::uint64_t size :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{15}, std::uint64_t{16}, std::uint64_t{17},
        in_first - 1, in_first, in_first + 1, in_first + in_other - 1, in_first + in_other,
        in_first + in_other + 1, in_first + 2 * in_other, std::uint64_t{3'000'000}}) {
    SCOPED_TRACE(size);
    const auto text = text_of(size);
    const auto sealed = encrypt(key, "data", text);
    EXPECT_EQ(sealed.size(), stream::ciphertext_bytes(size));
    EXPECT_EQ(stream::plaintext_bytes(sealed.size(), "f"), size);
    EXPECT_TRUE(decrypt(key, "data", sealed, "f") == text);
  }
}

TEST(EncryptionStream, SizesAreThoseOfTink) {
  EXPECT_EQ(stream::ciphertext_bytes(0), 56u);
  EXPECT_EQ(stream::ciphertext_bytes(in_first), stream::segment_bytes);
  EXPECT_EQ(stream::ciphertext_bytes(in_first + 1), stream::segment_bytes + 17);
  EXPECT_EQ(stream::ciphertext_bytes(in_first + in_other), 2 * stream::segment_bytes);
  for (const std::uint64_t impossible :
       {std::uint64_t{0}, std::uint64_t{40}, std::uint64_t{55}, stream::segment_bytes + 1,
        stream::segment_bytes + 16, 3 * stream::segment_bytes + 16, (std::uint64_t{1} << 52) + 17,
        UINT64_MAX}) {
    EXPECT_THROW(stream::plaintext_bytes(impossible, "f"), CheckpointError) << impossible;
  }
  const auto most = stream::max_plaintext_bytes;
  EXPECT_EQ(stream::ciphertext_bytes(most), std::uint64_t{1} << 52);
  EXPECT_EQ(stream::plaintext_bytes(std::uint64_t{1} << 52, "f"), most);
  EXPECT_THROW(stream::ciphertext_bytes(most + 1), CheckpointError);
  EXPECT_THROW(stream::ciphertext_bytes(UINT64_MAX), CheckpointError);
}

TEST(EncryptionStream, SegmentsTileTheText) {
  EXPECT_EQ(stream::segment_of(in_first - 1), 0u);
  EXPECT_EQ(stream::segment_of(in_first), 1u);
  EXPECT_EQ(stream::segment_of(in_first + in_other), 2u);
  for (const auto size : {std::uint64_t{0}, in_first, in_first + 1, in_first + 3 * in_other + 5}) {
    std::uint64_t end = 0, bytes = 0;
    for (std::uint64_t i = 0; i < stream::segment_count(size); ++i) {
      const auto range = stream::plaintext_range(i, size);
      EXPECT_EQ(range.begin, end);
      EXPECT_EQ(bytes, i * stream::segment_bytes);
      if (range.begin < range.end) {
        EXPECT_EQ(stream::segment_of(range.begin), i);
        EXPECT_EQ(stream::segment_of(range.end - 1), i);
      }
      end = range.end;
      bytes += stream::bytes_of_segment(i, size);
    }
    EXPECT_EQ(end, size);
    EXPECT_EQ(bytes, stream::ciphertext_bytes(size));
  }
}

// Written by Tink 1.16.1 for Python, under the key 00 01 ... 1f.
TEST(EncryptionStream, OpensTinksBytes) {
  const auto open = [](std::string_view digits) {
    Bytes sealed(digits.size() / 2);
    EXPECT_TRUE(from_hex(digits, sealed));
    return test::to_string(decrypt(key_of(0), "associated data", sealed, "f"));
  };
  EXPECT_EQ(open("28808a5ee82438a892b21c1700dfa1380eb5b5680e2ecf8f14e00379c98979949da20f50e7a70ee0"
                 "12c83e6930d500570d5486fe362aeb9e"),
            "");
  EXPECT_EQ(open("281e006349a6a005bb3720c449dc77c4d2422ba7f8cafae26d99ce9c8a683fff27cd608dad8cf274"
                 "20b9817e34abd5648bcbb0a912a6593647931d22ef"),
            "Tutti");
}

// Segments in any order, from four threads, both ways.
TEST(EncryptionStream, ThreadsShareAStream) {
  const auto key = key_of(3);
  const auto text = text_of(in_first + 6 * in_other + 100);
  StreamEncryptor encryptor(key, "data", text.size());
  Bytes sealed(stream::ciphertext_bytes(text.size()));
  const auto in_threads = [&](auto work) {
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (auto i = encryptor.segment_count(); i-- > 0;) {
          if (i % 4 == t) work(i, stream::plaintext_range(i, text.size()));
        }
      });
    }
    for (auto& thread : threads) thread.join();
  };
  const auto segment = [&](std::uint64_t i) {
    return std::span(sealed).subspan(i * stream::segment_bytes, stream::bytes_of_segment(i, text.size()));
  };
  in_threads([&](std::uint64_t i, stream::Range range) {
    encryptor.encrypt(i, std::span(text).subspan(range.begin, range.end - range.begin), segment(i));
  });
  Bytes plain(text.size());
  const StreamDecryptor decryptor(key, "data", "f", sealed.size(),
                                  std::span(sealed).first<stream::header_bytes>());
  in_threads([&](std::uint64_t i, stream::Range range) {
    decryptor.decrypt(i, segment(i), std::span(plain).subspan(range.begin, range.end - range.begin));
  });
  EXPECT_TRUE(plain == text);
}

TEST(EncryptionStream, RefusesBuffersOfOtherSizes) {
  const auto text = text_of(10);
  Bytes out(stream::ciphertext_bytes(10));
  StreamEncryptor encryptor(key_of(0), "data", 10);
  EXPECT_THROW(encryptor.encrypt(0, std::span(text).first(9), out), CheckpointError);
  EXPECT_THROW(encryptor.encrypt(0, text, std::span(out).first(65)), CheckpointError);
  EXPECT_THROW(encryptor.encrypt(1, {}, {}), CheckpointError);
  EXPECT_NO_THROW(encryptor.encrypt(0, text, out));
}

// Every byte of a small file, header and tag included.
TEST(EncryptionStream, NoByteCanBeChanged) {
  const auto sealed = encrypt(key_of(0), "data", text_of(20));
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    auto bad = sealed;
    bad[i] ^= std::byte{1};
    EXPECT_THROW(decrypt(key_of(0), "data", bad, "f"), CheckpointError) << i;
  }
}

TEST(EncryptionStream, WhatIsRefusedIsNotHandedOut) {
  const auto key = key_of(0);
  auto sealed = encrypt(key, "data", text_of(100));
  sealed.back() ^= std::byte{1};
  Bytes plain(100, std::byte{7});
  const StreamDecryptor decryptor(key, "data", "f", sealed.size(),
                                  std::span(sealed).first<stream::header_bytes>());
  EXPECT_THAT([&] { decryptor.decrypt(0, sealed, plain); }, test::refuses("f", 0, test::changed));
  EXPECT_TRUE(plain == Bytes(100));
}

// The header is read once, the segment that begins with it another time.
TEST(EncryptionStream, AHeaderThatChangesMeanwhileIsRefused) {
  const auto key = key_of(0);
  auto sealed = encrypt(key, "data", text_of(100));
  Bytes plain(100, std::byte{7});
  const StreamDecryptor decryptor(key, "data", "f", sealed.size(),
                                  std::span(sealed).first<stream::header_bytes>());
  sealed[1] ^= std::byte{1};
  EXPECT_THAT([&] { decryptor.decrypt(0, sealed, plain); }, test::refuses("f", 0, test::changed));
  EXPECT_TRUE(plain == Bytes(100));
}

TEST(EncryptionStream, NamesAndStepsAreBound) {
  EXPECT_EQ(associated_data("a-1", 100, "model.safetensors"),
            "tutti checkpoint v1\na-1\n100\nmodel.safetensors");
  EXPECT_EQ(wrap_context("a-1"), "tutti checkpoint v1 a-1");
  for (const std::string& name : {std::string(), std::string("a/b"), std::string("a\0b", 3),
                                  std::string("a\n1"), std::string(256, 'a')}) {
    EXPECT_THROW(associated_data("a", 1, name), CheckpointError) << name;
  }
  for (const std::string& uuid :
       {std::string(), std::string("a\n1"), std::string("a b"), std::string(65, 'a')}) {
    EXPECT_THROW(associated_data(uuid, 1, "f"), CheckpointError) << uuid;
    EXPECT_THROW(wrap_context(uuid), CheckpointError) << uuid;
  }
  EXPECT_THROW(associated_data("a", -1, "f"), CheckpointError);
}

}  // namespace
}  // namespace tutti::checkpoint
