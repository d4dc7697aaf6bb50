// Writing and reading bytes, without tensors.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <bit>
#include <cstring>
#include <numeric>

#include "tests/support/files.h"
#include "tests/support/message_of.h"
#include "tutti/checkpoint/safetensors.h"
#include "tutti/core/error.h"

namespace tutti::safetensors {
namespace {

using test::message_of;
using test::read_file;
using test::TemporaryDirectory;
using test::write_file;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(SafetensorsFile, WritesTheBytesOfTheSpecification) {
  TemporaryDirectory directory;
  const std::vector<std::uint8_t> bytes{7};
  const std::vector<float> floats{1.0f};
  const Item items[] = {{"b", {1}, bytes}, {"a", {}, floats}};
  write(directory / "x", items, {{"k", "v"}});
  std::string header = R"({"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
                       R"("b":{"dtype":"U8","shape":[1],"data_offsets":[4,5]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::string expected(8, '\0');
  expected[0] = static_cast<char>(header.size());
  expected += header + std::string("\0\0\x80\x3f\x07", 5);
  EXPECT_EQ(read_file(directory / "x"), expected);
}

TEST(SafetensorsFile, OrdersByAlignmentThenName) {
  TemporaryDirectory directory;
  const std::vector<std::uint64_t> storage(16);
  std::vector<Item> items;
  for (const auto dtype : all_dtypes) {
    items.push_back({"z" + std::string(name_of(dtype)), {1}, ConstBufferView(storage.data(), 1, dtype)});
    items.push_back({"a" + std::string(name_of(dtype)), {1}, ConstBufferView(storage.data(), 1, dtype)});
  }
  write(directory / "x", items);
  std::vector<std::string> names;
  const Reader reader(directory / "x");
  for (const auto& entry : reader.entries()) {
    EXPECT_EQ(entry.offset % size_of(*entry.tutti_dtype()), 0u);
    names.push_back(entry.name);
  }
  EXPECT_THAT(names, ElementsAre("ai64", "zi64", "af64", "zf64", "af32", "zf32", "ai32", "zi32", "abf16",
                                 "zbf16", "af16", "zf16", "au8", "zu8", "abool", "zbool"));
}

TEST(SafetensorsFile, ChecksTheBufferItReadsInto) {
  TemporaryDirectory directory;
  const std::vector<float> floats(6);
  const Item items[] = {{"w", {2, 3}, floats}};
  write(directory / "x", items);
  const Reader reader(directory / "x");
  std::vector<double> doubles(6);
  std::vector<float> five(5);
  EXPECT_THAT(message_of<DTypeError>([&] { reader.read(reader.at("w"), doubles); }),
              HasSubstr("\"w\" is f32, the buffer f64"));
  EXPECT_THAT(message_of<ShapeError>([&] { reader.read(reader.at("w"), five); }),
              HasSubstr("\"w\" has 6 elements, the buffer 5"));
  EXPECT_THAT(message_of<CheckpointError>([&] { reader.at("v"); }), HasSubstr("has no tensor \"v\""));
}

TEST(SafetensorsFile, RefusesBoolsThatAreNone) {
  TemporaryDirectory directory;
  std::vector<std::uint8_t> bytes{0, 1, 2};
  const Item items[] = {{"flag", {3}, ConstBufferView(bytes.data(), 3, DType::bool_)}};
  write(directory / "x", items);
  const Reader reader(directory / "x");
  EXPECT_THAT(message_of<CheckpointError>(
                  [&] { reader.read(reader.at("flag"), BufferView(bytes.data(), 3, DType::bool_)); }),
              HasSubstr("a BOOL is 0 or 1, not 2"));
}

TEST(SafetensorsFile, NoticesThatTheFileBecameShorter) {
  TemporaryDirectory directory;
  const std::vector<float> floats(100);
  const Item items[] = {{"w", {100}, floats}};
  write(directory / "x", items);
  const Reader reader(directory / "x");
  std::filesystem::resize_file(directory / "x", reader.at("w").offset + 10);
  std::vector<float> out(100);
  EXPECT_THAT(message_of<CheckpointError>([&] { reader.read(reader.at("w"), out); }),
              HasSubstr("inside tensor \"w\""));
}

TEST(SafetensorsFile, OpensOnlyRegularFiles) {
  TemporaryDirectory directory;
  EXPECT_THAT(message_of<CheckpointError>([&] { Reader(directory / "none"); }), HasSubstr("No such file"));
  EXPECT_THAT(message_of<CheckpointError>([&] { Reader(directory.path().string()); }),
              HasSubstr("no regular file"));
  ASSERT_EQ(::mkfifo((directory / "fifo").c_str(), 0600), 0);
  EXPECT_THAT(message_of<CheckpointError>([&] { Reader(directory / "fifo"); }), HasSubstr("no regular file"));
  write_file(directory / "empty", "");
  EXPECT_THAT(message_of<CheckpointError>([&] { Reader(directory / "empty"); }),
              HasSubstr("at least the 8 bytes"));
  write_file(directory / "bomb",
             std::string("\xff\xe0\xf5\x05\0\0\0\0{}", 10));  // claims 100 MB, has 2 bytes
  EXPECT_THAT(message_of<CheckpointError>([&] { Reader(directory / "bomb"); }),
              HasSubstr("claims 99999999 bytes, but 2"));
}

TEST(SafetensorsFile, RefusesToWriteWhatItWouldNotRead) {
  TemporaryDirectory directory;
  const std::vector<float> floats(2);
  const auto refused = [&](std::vector<Item> items, Metadata metadata = {}) {
    const auto message = message_of<CheckpointError>([&] { write(directory / "x", items, metadata); });
    EXPECT_EQ(test::files_in(directory.path()), 0u);
    return message;
  };
  EXPECT_THAT(refused({{"a", {2}, floats}, {"a", {2}, floats}}),
              HasSubstr("two tensors have the name \"a\""));
  EXPECT_THAT(refused({{"__metadata__", {2}, floats}}), HasSubstr("no tensor may have the name"));
  EXPECT_THAT(refused({{"a", {3}, floats}}), HasSubstr("\"a\" has shape [3] and 2 elements"));
  EXPECT_THAT(refused({{"\xff", {2}, floats}}), HasSubstr("no UTF-8"));
  EXPECT_THAT(refused({{"a", {2}, floats}}, {{"k", "\xc0"}}), HasSubstr("no UTF-8"));
  EXPECT_THAT(refused({}, {{"k", std::string(max_header_bytes, 'x')}}), HasSubstr("at most 100000000 bytes"));
}

}  // namespace
}  // namespace tutti::safetensors
