// Files written part by part, and read part by part.
#include <gmock/gmock.h>

#include <numeric>

#include "tests/support/files.h"
#include "tutti/checkpoint/safetensors.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti::safetensors {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::vector<std::byte> bytes_of(std::size_t count, int first = 0) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(first + static_cast<int>(i));
  return bytes;
}

auto refuses(const std::string& text) { return ThrowsMessage<CheckpointError>(HasSubstr(text)); }

class WriterTest : public testing::Test {
 protected:
  test::TemporaryDirectory directory_;
  std::string path_ = directory_ / "x.safetensors";
};

TEST_F(WriterTest, TakesPartsInAnyOrderAndForeignTypes) {
  Writer writer(path_,
                {{"f8", "F8_E4M3", {2, 3}}, {"a", "F32", {4}}, {"none", "C64", {0, 9}}, {"f4", "F4", {6}}},
                {{"k", "v"}});
  EXPECT_EQ(writer.bytes(), 6u + 16 + 3);
  const auto f8 = bytes_of(6), f4 = bytes_of(3, 50);
  const float a[] = {1, 2, 3, 4};
  writer.write("f8", 4, std::span(f8).subspan(4));
  writer.write("a", ConstBufferView(a));
  writer.write("f8", 0, std::span(f8).first(2));
  writer.append("f8", std::span(f8).subspan(2, 2));
  writer.append("f4", std::span(f4).first(1));
  writer.append("f4", std::span(f4).subspan(1));
  EXPECT_EQ(writer.written(), writer.bytes());
  EXPECT_FALSE(std::filesystem::exists(path_));
  writer.commit();
  EXPECT_EQ(test::files_in(directory_.path()), 1u);

  const Reader reader(path_);
  EXPECT_EQ(reader.metadata().at("k"), "v");
  EXPECT_EQ(reader.at("none").shape, (std::vector<std::uint64_t>{0, 9}));
  std::vector<std::byte> read(6);
  reader.read_bytes(reader.at("f8"), 0, read);
  EXPECT_EQ(read, f8);
  read.resize(2);
  reader.read_bytes(reader.at("f4"), 1, read);
  EXPECT_EQ(read, (std::vector<std::byte>(f4.begin() + 1, f4.end())));
  EXPECT_EQ(reader.read(reader.at("a")).to_vector<float>(), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_THROW(reader.read(reader.at("f8")), CheckpointError);
}

TEST_F(WriterTest, RefusesWhatWasNotDeclared) {
  test::write_file(path_, "old");
  {
    Writer writer(path_, {{"a", "F32", {4}}, {"b", "U8", {1}}});
    const auto bytes = bytes_of(16);
    const float four[] = {1, 2, 3, 4}, two[] = {1, 2};
    const double doubles[] = {1, 2};
    EXPECT_THAT([&] { writer.append("c", bytes); }, refuses("no tensor \"c\" was declared"));
    EXPECT_THAT([&] { writer.write("a", 1, bytes); }, refuses("\"a\" has 16 bytes, not [1, 1 + 16)"));
    EXPECT_THROW(writer.write("a", ConstBufferView(two)), ShapeError);
    EXPECT_THROW(writer.write("a", ConstBufferView(doubles)), DTypeError);
    writer.write("a", 4, std::span(bytes).first(4));
    EXPECT_THAT([&] { writer.write("a", ConstBufferView(four)); }, refuses("were written before"));
    EXPECT_THAT([&] { writer.write("a", 6, std::span(bytes).first(4)); }, refuses("were written before"));
    EXPECT_THAT([&] { writer.commit(); }, refuses("byte 0 of the 16 of tensor \"a\" is missing"));
    writer.write("a", 0, std::span(bytes).first(4));
    EXPECT_THAT([&] { writer.commit(); }, refuses("byte 8 of the 16 of tensor \"a\" is missing"));
    writer.write("a", 8, std::span(bytes).first(8));
    EXPECT_THAT([&] { writer.commit(); }, refuses("byte 0 of the 1 of tensor \"b\" is missing"));
  }
  EXPECT_EQ(test::read_file(path_), "old");
  EXPECT_EQ(test::files_in(directory_.path()), 1u);
  EXPECT_THAT([&] { Writer(path_, {{"a", "F5", {}}}); }, refuses("the format has no dtype \"F5\""));
  EXPECT_THAT([&] { Writer(path_, {{"a", "F4", {3}}}); }, refuses("does not end on a byte"));
  EXPECT_THAT(
      [&] {
        Writer(path_, {{"a", "U8", {std::uint64_t{1} << 40, std::uint64_t{1} << 40}}});
      },
      refuses("overflows 64 bits"));
}

TEST_F(WriterTest, RangesOfElementsAreRead) {
  save(path_,
       {{"x", arange(100)}, {"flags", from(std::vector<std::uint8_t>{0, 1, 1}, {3}).to(DType::bool_)}});
  const Reader reader(path_);
  std::vector<std::int64_t> part(7), expected(7);
  std::iota(expected.begin(), expected.end(), 90);
  reader.read(reader.at("x"), 90, part);
  EXPECT_EQ(part, expected);
  EXPECT_THROW(reader.read(reader.at("x"), 94, part), ShapeError);
  std::vector<std::byte> bytes(2);
  EXPECT_THROW(reader.read_bytes(reader.at("flags"), 2, bytes), ShapeError);
}

TEST_F(WriterTest, MapsWithoutACopy) {
  save(path_,
       {{"x", arange(5).to(DType::f32)}, {"odd", ones({3}, {.dtype = DType::u8})}, {"none", zeros({0})}});
  Tensor x, odd;
  {
    const Mapping mapping(path_);
    EXPECT_EQ(mapping.entries().size(), 3u);
    x = mapping.tensor(mapping.at("x"));
    odd = mapping.tensor(mapping.at("odd"));
    EXPECT_EQ(static_cast<const void*>(mapping.bytes(mapping.at("x")).data()), x.raw_data());
    EXPECT_EQ(mapping.tensor(mapping.at("none")).shape(), Shape{0});
    EXPECT_THAT([&] { mapping.at("y"); }, refuses("has no tensor \"y\""));
  }
  EXPECT_EQ(x.to_vector<float>(), (std::vector<float>{0, 1, 2, 3, 4})) << "it outlives the mapping";
  x.fill_(7);
  const Reader reader(path_);
  EXPECT_EQ(reader.read(reader.at("x")).to_vector<float>(), (std::vector<float>{0, 1, 2, 3, 4}))
      << "and not the file";
  EXPECT_THAT([&] { Mapping(directory_ / "none"); }, refuses("none"));
}

TEST_F(WriterTest, AMapCopiesWhatIsNotAligned) {
  const std::string header =
      R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"x":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})";
  const std::uint64_t length = header.size();
  const float value = 2.5;
  test::write_file(path_, std::string(reinterpret_cast<const char*>(&length), 8) + header + "a" +
                              std::string(reinterpret_cast<const char*>(&value), 4));
  const Mapping mapping(path_);
  EXPECT_EQ(mapping.tensor(mapping.at("x")).item<float>(), 2.5F);
}

TEST_F(WriterTest, TrailingBytesPassWhereTheyAreLet) {
  save(path_, {{"x", arange(3)}});
  test::write_file(path_, test::read_file(path_) + "tail");
  EXPECT_THAT([&] { Reader strict(path_); }, refuses("4 bytes follow the last tensor"));
  EXPECT_EQ(load(path_, {.lenient = true})[0].tensor.to_vector<std::int64_t>(),
            (std::vector<std::int64_t>{0, 1, 2}));
  EXPECT_EQ(Mapping(path_, {.lenient = true}).entries().size(), 1u);
}

}  // namespace
}  // namespace tutti::safetensors
