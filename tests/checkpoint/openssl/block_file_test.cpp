// Encrypted files whose head comes last: read by the cipher alone, whatever is at the edges of segments.
#include "checkpoint/block_file.h"

#include <gtest/gtest.h>

#include "checkpoint/block_writer.h"
#include "encryption_support.h"

namespace tutti::checkpoint {
namespace {

constexpr std::uint64_t first_segment = stream::segment_plaintext_bytes - stream::header_bytes;

class SealedBlocks : public testing::Test {
 protected:
  // What is decrypted of a file of `bytes` bytes that has a head of `head` bytes, written in blocks of `block`.
  test::Bytes through(std::uint64_t bytes, std::uint64_t head, std::size_t block) {
    const auto text = test::text_of(bytes);
    const auto name = std::to_string(++files_);
    BlockWriter writer(make_block_file(directory_, name, bytes, head, &key_), block);
    const auto data = std::span(text).subspan(head);
    // Parts of odd sizes.
    for (std::size_t at = 0, size = 1; at < data.size(); at += size, size = size * 3 % 1'000'003)
      writer.append(data.subspan(at, std::min(size, data.size() - at)));
    writer.finish(std::span(text).first(head));
    const auto sealed = test::to_bytes(test::read_file(directory_.path(name + ".enc")));
    return decrypt(key_.key, key_.associated_data(name), sealed, name);
  }

  test::TemporaryDirectory temporary_;
  Directory directory_{temporary_.path().string()};
  DataKey key_{test::key_of(1), test::uuid_a, 7};
  int files_ = 0;
};

TEST_F(SealedBlocks, AreWhatWasWrittenAtEveryEdge) {
  for (const std::uint64_t head : {std::uint64_t{4096}, std::uint64_t{255} * 4096, std::uint64_t{256} * 4096,
                                   std::uint64_t{600} * 4096}) {
    for (const std::uint64_t segments : {1, 2, 3, 5}) {
      const auto edge = first_segment + (segments - 1) * stream::segment_plaintext_bytes;
      for (const auto bytes : {edge - 1, edge, edge + 1}) {
        if (bytes < head) continue;
        EXPECT_TRUE(through(bytes, head, std::size_t{1} << 20) == test::text_of(bytes))
            << head << " of " << bytes;
      }
    }
    EXPECT_TRUE(through(head, head, 4096) == test::text_of(head)) << head << " alone";
  }
}

TEST_F(SealedBlocks, AreWhatWasWrittenWhereMemoryGoesRound) {
  const std::uint64_t bytes = 70'000'003;  // of 66 segments, 8 in each write
  EXPECT_TRUE(through(bytes, 8192, std::size_t{8} << 20) == test::text_of(bytes));
}

TEST_F(SealedBlocks, NeedNoHead) {
  EXPECT_TRUE(through(5'000'000, 0, std::size_t{1} << 20) == test::text_of(5'000'000));
}

}  // namespace
}  // namespace tutti::checkpoint
