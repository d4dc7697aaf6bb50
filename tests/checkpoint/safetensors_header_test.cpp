// What the format allows; fault_parser_test.cpp breaks every rule of it.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <string>

#include "tests/checkpoint/header_bytes.h"
#include "tutti/core/error.h"

namespace tutti::safetensors {
namespace {

using testing::ElementsAre;

TEST(SafetensorsHeader, ListsTensorsInTheOrderOfTheirBytes) {
  const auto header =
      parse(file_of("{" + entry("b", "F32", "2,3", "8,32") + "," + entry("a", "I64", "", "0,8") +
                        R"(,"__metadata__":{"format":"pt","note":"{\"}"}})",
                    32));
  ASSERT_EQ(header.entries.size(), 2u);
  EXPECT_EQ(header.entries[0].name, "a");
  EXPECT_TRUE(header.entries[0].shape.empty());
  EXPECT_EQ(header.entries[0].tutti_dtype(), DType::i64);
  EXPECT_EQ(header.entries[1].name, "b");
  EXPECT_THAT(header.entries[1].shape, ElementsAre(2, 3));
  EXPECT_EQ(header.entries[1].offset, header.entries[0].offset + 8);
  EXPECT_EQ(header.entries[1].bytes, 24u);
  EXPECT_THAT(header.metadata, ElementsAre(testing::Pair("format", "pt"), testing::Pair("note", "{\"}")));
}

TEST(SafetensorsHeader, TakesWhatTheFormatAllows) {
  EXPECT_TRUE(parse(file_of("{}")).entries.empty());
  EXPECT_TRUE(parse(file_of("{}      ")).entries.empty());  // trailing padding
  EXPECT_TRUE(parse(file_of("\n\t  {}")).entries.empty());  // leading white space
  EXPECT_TRUE(parse(file_of(R"({"__metadata__":{}})")).metadata.empty());
  // No elements take no bytes, and may stand anywhere; a huge size beside a 0 does not matter.
  EXPECT_EQ(parse(file_of("{" + entry("none", "F32", "0", "4,4") + "," + entry("x", "F32", "1", "0,4") + "," +
                              entry("z", "F32", "0,9223372036854775808", "0,0") + "}",
                          4))
                .entries.size(),
            3u);
  EXPECT_EQ(parse(file_of("{" + entry("\\ud83d\\ude00", "U8", "0", "0,0") + "}")).entries[0].name,
            "\U0001F600");
}

TEST(SafetensorsHeader, ListsTypesThatTuttiLacks) {
  for (const auto* dtype : {"I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "I16", "U16",
                            "U32", "C64", "U64", "F4", "F6_E2M3", "F6_E3M2"}) {
    const bool byte_or_less = dtype[0] == 'F' || std::string(dtype) == "I8";
    const auto bytes = std::string(dtype) == "F4"             ? 2
                       : std::string(dtype).starts_with("F6") ? 3
                       : byte_or_less                         ? 4
                       : std::string(dtype).ends_with("16")   ? 8
                       : std::string(dtype).ends_with("32")   ? 16
                                                              : 32;
    const auto header = parse(file_of("{" + entry("x", dtype, "4", fmt::format("0,{}", bytes)) + "}",
                                      static_cast<std::size_t>(bytes)));
    EXPECT_EQ(header.entries[0].dtype, dtype);
    EXPECT_FALSE(header.entries[0].tutti_dtype());
  }
}

TEST(SafetensorsHeader, NamesTheByte) {
  const auto file = file_of("{" + entry("a", "F32", "1", "0,4") + "}", 12);
  try {
    parse(file);
    FAIL() << "accepted";
  } catch (const CheckpointError& error) {
    EXPECT_EQ(error.offset(), static_cast<std::int64_t>(file.size()) - 8);
  }
  const auto number = file_of(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})");
  try {
    parse(number);
    FAIL() << "accepted";
  } catch (const CheckpointError& error) {
    const auto minus = static_cast<std::int64_t>(number.find("-1"));
    EXPECT_GE(error.offset(), minus);
    EXPECT_LE(error.offset(), minus + 4);
  }
}

}  // namespace
}  // namespace tutti::safetensors
