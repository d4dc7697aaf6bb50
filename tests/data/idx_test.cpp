#include "tutti/data/idx.h"

#include <gmock/gmock.h>

#include <cstring>
#include <string>

#include "tests/data/idx_bytes.h"
#include "tests/support/files.h"
#include "tutti/core/error.h"

namespace tutti::data {
namespace {

using test::gzip;
using test::idx;
using test::TemporaryDirectory;
using testing::HasSubstr;

IdxFile parse(const std::string& bytes) { return parse_idx(std::as_bytes(std::span(bytes)), "x.idx"); }

std::string refusal(const std::string& bytes) {
  try {
    parse(bytes);
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("x.idx"));
    return error.what();
  }
  return "nothing was thrown";
}

template <typename T>
std::vector<T> values(const IdxFile& file) {
  EXPECT_EQ(file.dtype, dtype_of<T>);
  std::vector<T> out(file.bytes.size() / sizeof(T));
  std::memcpy(out.data(), file.bytes.data(), file.bytes.size());
  return out;
}

TEST(Idx, ReadsPlainAndGzip) {
  const auto plain = idx(0x08, {2, 3}, "abcdef");
  for (const auto& bytes : {plain, gzip(plain), gzip(plain.substr(0, 5)) + gzip(plain.substr(5))}) {
    const auto file = parse(bytes);
    EXPECT_EQ(file.shape, (Shape{2, 3}));
    EXPECT_EQ(values<std::uint8_t>(file), (std::vector<std::uint8_t>{'a', 'b', 'c', 'd', 'e', 'f'}));
  }
}

TEST(Idx, SwapsBytesOfWideElements) {
  EXPECT_EQ(values<std::int32_t>(parse(idx(0x0c, {2}, std::string("\0\0\1\2\xff\xff\xff\xfe", 8)))),
            (std::vector<std::int32_t>{258, -2}));
  EXPECT_EQ(values<float>(parse(idx(0x0d, {1}, std::string("\x3f\x80\0\0", 4)))), std::vector<float>{1});
  EXPECT_EQ(values<double>(parse(idx(0x0e, {1}, std::string("\xc0\0\0\0\0\0\0\0", 8)))),
            std::vector<double>{-2});
}

TEST(Idx, TakesNoElements) {
  EXPECT_TRUE(parse(idx(0x08, {0, 28, 28}, "")).bytes.empty());
  EXPECT_TRUE(parse(gzip(idx(0x08, {0}, ""))).bytes.empty());
}

TEST(Idx, RefusesWhatIsNoIdx) {
  EXPECT_THAT(refusal(""), HasSubstr("truncated: the magic number takes 4 bytes, 0 follow"));
  EXPECT_THAT(refusal(std::string("\0\0\x08", 3)), HasSubstr("takes 4 bytes, 3 follow"));
  EXPECT_THAT(refusal("hello, world"), HasSubstr("must begin with 00 00, not 68 65"));
  EXPECT_THAT(refusal(idx(0x09, {1}, "a")), HasSubstr("not 09"));   // int8
  EXPECT_THAT(refusal(idx(0x0b, {1}, "ab")), HasSubstr("not 0b"));  // int16
  EXPECT_THAT(refusal(idx(0x07, {1}, "a")), HasSubstr("not 07"));
  EXPECT_THAT(refusal(idx(0x08, {}, "a")), HasSubstr("dimensions must be 1 to 8, not 0"));
  EXPECT_THAT(refusal(idx(0x08, {1, 1, 1, 1, 1, 1, 1, 1, 1}, "a")), HasSubstr("must be 1 to 8, not 9"));
}

TEST(Idx, RefusesOtherSizesThanItClaims) {
  EXPECT_THAT(refusal(idx(0x08, {2, 3}, "abcde")), HasSubstr("u8 [2, 3] takes 6 bytes, at most 5 follow"));
  EXPECT_THAT(refusal(idx(0x08, {2, 3}, "abcdefg")), HasSubstr("bytes follow the last element of u8 [2, 3]"));
  EXPECT_THAT(refusal(idx(0x08, {2, 3}, "").substr(0, 9)), HasSubstr("truncated: a size"));
  const auto most = 0xffffffffu;
  EXPECT_THAT(refusal(idx(0x08, {most, most, most, most}, "a")), HasSubstr("2^63 or more bytes"));
  EXPECT_THAT(refusal(idx(0x0e, {1u << 30, 1u << 30, 4}, "a")), HasSubstr("2^63 or more bytes"));
}

TEST(Idx, RefusesDamagedGzip) {
  const auto whole = gzip(idx(0x08, {1000}, std::string(1000, 'x')));
  for (std::size_t length = 2; length < whole.size(); ++length) {
    EXPECT_THAT(refusal(whole.substr(0, length)), HasSubstr("truncated")) << length;
  }
  EXPECT_THAT(refusal(whole + "x"), HasSubstr("gzip"));
  EXPECT_THAT(refusal(whole + whole), HasSubstr("bytes follow the last element"));
  auto flipped = whole;
  flipped[whole.size() - 6] ^= 1;  // in the checksum
  EXPECT_THAT(refusal(flipped), HasSubstr("gzip"));
  EXPECT_THAT(refusal(gzip(idx(0x08, {1000}, std::string(999, 'x')))),
              HasSubstr("u8 [1000] takes 1000 bytes, 999 follow"));
}

TEST(Idx, AGzipBombTakesNoMemory) {
  // 4 GiB claimed by 100 bytes: refused before anything is allocated for them.
  EXPECT_THAT(refusal(gzip(idx(0x08, {0xffffffffu}, "abc"))), HasSubstr("takes 4294967295 bytes, at most"));
}

TEST(Idx, NamesFilesThatCannotBeRead) {
  TemporaryDirectory directory;
  const auto refused = [](const std::string& path) -> std::string {
    try {
      read_idx(path);
    } catch (const DataError& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  EXPECT_THAT(refused(directory / "none"), HasSubstr("No such file"));
  EXPECT_THAT(refused(directory.path().string()), HasSubstr("no regular file"));
  test::write_file(directory / "x", idx(0x08, {1}, "a"));
  EXPECT_EQ(read_idx(directory / "x").shape, Shape{1});
}

}  // namespace
}  // namespace tutti::data
