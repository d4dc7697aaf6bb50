// Every rule of the format, broken once.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstring>
#include <string>

#include "tutti/checkpoint/safetensors.h"
#include "tutti/core/error.h"

namespace tutti::safetensors {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string file_of(const std::string& header, std::size_t data_bytes = 0) {
  std::uint64_t length = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + header + std::string(data_bytes, '\0');
}

Header parse(const std::string& file) {
  return parse_header(std::as_bytes(std::span(file)), file.size(), "x.safetensors");
}

std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape,
                   const std::string& offsets) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":[{}],"data_offsets":[{}]}})", name, dtype, shape,
                     offsets);
}

TEST(SafetensorsHeader, ListsTensorsInTheOrderOfTheirBytes) {
  const auto header =
      parse(file_of("{" + tensor("b", "F32", "2,3", "8,32") + "," + tensor("a", "I64", "", "0,8") +
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
  EXPECT_EQ(parse(file_of("{" + tensor("none", "F32", "0", "4,4") + "," + tensor("x", "F32", "1", "0,4") +
                              "," + tensor("z", "F32", "0,9223372036854775808", "0,0") + "}",
                          4))
                .entries.size(),
            3u);
  const std::string nul_name =
      parse(file_of("{" + tensor("a\\u0000b", "U8", "0", "0,0") + "}")).entries[0].name;
  EXPECT_EQ(nul_name, std::string("a\0b", 3));
  EXPECT_EQ(parse(file_of("{" + tensor("\\ud83d\\ude00", "U8", "0", "0,0") + "}")).entries[0].name,
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
    const auto header = parse(file_of("{" + tensor("x", dtype, "4", fmt::format("0,{}", bytes)) + "}",
                                      static_cast<std::size_t>(bytes)));
    EXPECT_EQ(header.entries[0].dtype, dtype);
    EXPECT_FALSE(header.entries[0].tutti_dtype());
  }
}

struct Broken {
  const char* name;
  std::string file;
  const char* message;
  std::int64_t offset = -1;  // checked where it is given
};

void PrintTo(const Broken& broken, std::ostream* stream) { *stream << broken.name; }

class SafetensorsBroken : public testing::TestWithParam<Broken> {};

TEST_P(SafetensorsBroken, IsRefused) {
  try {
    parse(GetParam().file);
    FAIL() << "accepted";
  } catch (const CheckpointError& error) {
    EXPECT_THAT(error.what(), HasSubstr(GetParam().message));
    EXPECT_THAT(error.what(), HasSubstr("x.safetensors"));
    EXPECT_EQ(error.file(), "x.safetensors");
    if (GetParam().offset >= 0) {
      EXPECT_EQ(error.offset(), GetParam().offset);
    }
    EXPECT_GE(error.offset(), 0);
    EXPECT_LE(error.offset(), static_cast<std::int64_t>(GetParam().file.size()));
  }
}

std::string length_only(std::uint64_t length, const std::string& rest = "{}") {
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + rest;
}

const std::string f32 = tensor("a", "F32", "1", "0,4");

INSTANTIATE_TEST_SUITE_P(
    Length, SafetensorsBroken,
    testing::Values(Broken{"Empty", "", "at least the 8 bytes", 0},
                    Broken{"SevenBytes", std::string(7, '\0'), "at least the 8 bytes"},
                    Broken{"BeyondFile", length_only(3), "claims 3 bytes, but 2 follow", 0},
                    Broken{"Wraps", length_only(~0ull), "at most 100000000", 0},
                    Broken{"WrapsToHeader", length_only(~0ull - 5), "at most 100000000"},
                    Broken{"OverLimit", length_only(100'000'001, std::string(64, ' ')), "at most 100000000"},
                    Broken{"Zero", length_only(0, ""), "must be a JSON object", 8}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Json, SafetensorsBroken,
    testing::Values(
        Broken{"Truncated", file_of(R"({"a":{"dtype":"F3)"), "no JSON"},
        Broken{"NotJson", file_of("hello"), "must be a JSON object", 8},
        Broken{"Array", file_of("[]"), "must be a JSON object"},
        Broken{"Scalar", file_of("1"), "must be a JSON object"},
        Broken{"Null", file_of("null"), "must be a JSON object"},
        Broken{"OnlySpaces", file_of("   "), "must be a JSON object"},
        Broken{"ByteOrderMark", file_of("\xef\xbb\xbf{}"), "must be a JSON object"},
        Broken{"TwoObjects", file_of("{}{}"), "no JSON"},
        Broken{"NulAfterObject", file_of(std::string("{}\0\0", 4)), "NUL", 10},
        Broken{"PolyglotAfterNul", file_of(std::string("{}\0<html>", 9)), "NUL"},
        Broken{"Comment", file_of("{/**/}"), "no JSON"},
        Broken{"TrailingComma", file_of("{" + f32 + ",}", 4), "no JSON"},
        Broken{"InvalidUtf8", file_of("{" + tensor("\xff", "F32", "1", "0,4") + "}", 4), "UTF-8"},
        Broken{"OverlongUtf8", file_of("{" + tensor("\xc0\xaf", "F32", "1", "0,4") + "}", 4), "UTF-8"},
        Broken{"SurrogateUtf8", file_of("{" + tensor("\xed\xa0\x80", "F32", "1", "0,4") + "}", 4), "UTF-8"},
        Broken{"LoneSurrogate", file_of("{" + tensor("\\ud800", "F32", "1", "0,4") + "}", 4), "surrogate"},
        Broken{"DeepArrays", file_of("{\"a\":" + std::string(100'000, '[')),
               "must be an object, not an array"},
        Broken{"DeepObjects", file_of([] {
                 std::string s;
                 for (int i = 0; i < 100'000; ++i) s += "{\"a\":";
                 return s;
               }()),
               "unknown field \"a\""},
        Broken{"DeepShape", file_of(R"({"a":{"shape":[[[[)"), "list of unsigned integers, not an array"},
        Broken{"DuplicateTensor", file_of("{" + f32 + "," + f32 + "}", 4), "duplicate tensor name \"a\""},
        Broken{"DuplicateEmptyTensor",
               file_of("{" + tensor("a", "F32", "0", "0,0") + "," + tensor("a", "F32", "0", "0,0") + "}"),
               "duplicate tensor name \"a\""},
        Broken{"DuplicateMetadata", file_of(R"({"__metadata__":{},"__metadata__":{}})"),
               "duplicate key \"__metadata__\""},
        Broken{"DuplicateNote", file_of(R"({"__metadata__":{"k":"1","k":"2"}})"),
               "duplicate metadata key \"k\""},
        Broken{"DuplicateField",
               file_of(R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4),
               "duplicate field \"dtype\""}),
    [](const auto& info) { return info.param.name; });

Broken field(const char* name, const std::string& entry, const char* message) {
  return {name, file_of("{\"a\":" + entry + "}", 4), message};
}

INSTANTIATE_TEST_SUITE_P(
    Fields, SafetensorsBroken,
    testing::Values(
        field("UnknownDtype", R"({"dtype":"F128","shape":[1],"data_offsets":[0,4]})",
              "unknown dtype \"F128\""),
        field("LowerCaseDtype", R"({"dtype":"f32","shape":[1],"data_offsets":[0,4]})",
              "unknown dtype \"f32\""),
        field("NumberDtype", R"({"dtype":32,"shape":[1],"data_offsets":[0,4]})",
              "dtype must be a string, not a number"),
        field("ListDtype", R"({"dtype":["F32"],"shape":[1],"data_offsets":[0,4]})",
              "dtype must be a string, not an array"),
        field("NoDtype", R"({"shape":[1],"data_offsets":[0,4]})", "field \"dtype\" is missing"),
        field("NoShape", R"({"dtype":"F32","data_offsets":[0,4]})", "field \"shape\" is missing"),
        field("NoOffsets", R"({"dtype":"F32","shape":[1]})", "field \"data_offsets\" is missing"),
        field("NoFields", "{}", "is missing"),
        field("ExtraField", R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1})",
              "unknown field \"x\""),
        field("EntryIsString", "\"F32\"", "must be an object, not a string"),
        field("EntryIsList", "[1]", "must be an object, not an array"),
        field("EntryIsNull", "null", "must be an object, not null"),
        field("EntryIsTrue", "true", "must be an object, not a boolean"),
        field("ShapeIsNumber", R"({"dtype":"F32","shape":1,"data_offsets":[0,4]})",
              "list of unsigned integers, not a number"),
        field("ShapeOfStrings", R"({"dtype":"F32","shape":["1"],"data_offsets":[0,4]})",
              "list of unsigned integers, not a string"),
        field("ShapeOfObjects", R"({"dtype":"F32","shape":[{}],"data_offsets":[0,4]})",
              "list of unsigned integers, not an object"),
        field("ShapeNegative", R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})",
              "not a negative number"),
        field("ShapeMinusZero", R"({"dtype":"F32","shape":[1,-0],"data_offsets":[0,4]})",
              "not a negative number"),
        field("ShapeFloat", R"({"dtype":"F32","shape":[1.0],"data_offsets":[0,4]})",
              "1.0, which is no unsigned 64-bit integer"),
        field("ShapeExponent", R"({"dtype":"F32","shape":[1e0],"data_offsets":[0,4]})",
              "1e0, which is no unsigned"),
        field("ShapeAbove64Bits", R"({"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4]})",
              "no unsigned 64-bit integer"),
        field("OffsetFloat", R"({"dtype":"F32","shape":[1],"data_offsets":[0,4.0]})",
              "4.0, which is no unsigned"),
        field("OffsetNegative", R"({"dtype":"F32","shape":[1],"data_offsets":[-4,0]})",
              "not a negative number"),
        field("OneOffset", R"({"dtype":"F32","shape":[1],"data_offsets":[4]})", "must be two numbers, not 1"),
        field("ThreeOffsets", R"({"dtype":"F32","shape":[1],"data_offsets":[0,4,8]})",
              "must be two numbers, not 3"),
        Broken{"MetadataNumber", file_of(R"({"__metadata__":{"step":1}})"),
               "metadata \"step\" must be a string, not a number"},
        Broken{"MetadataNested", file_of(R"({"__metadata__":{"a":{"b":"c"}}})"),
               "metadata \"a\" must be a string, not an object"},
        Broken{"MetadataNull", file_of(R"({"__metadata__":null})"),
               "\"__metadata__\" must be an object, not null"},
        Broken{"MetadataString", file_of(R"({"__metadata__":"pt"})"),
               "\"__metadata__\" must be an object, not a string"}),
    [](const auto& info) { return info.param.name; });

Broken sizes(const char* name, const std::string& tensors, std::size_t data, const char* message) {
  return {name, file_of("{" + tensors + "}", data), message};
}

INSTANTIATE_TEST_SUITE_P(
    Offsets, SafetensorsBroken,
    testing::Values(
        sizes("ShapeOverflow", tensor("a", "F32", "4294967296,4294967296", "0,0"), 0, "overflows 64 bits"),
        sizes("ShapeOverflowsToSize", tensor("a", "U8", "9223372036854775808,2,2", "0,4"), 4,
              "overflows 64 bits"),
        sizes("BitsOverflow", tensor("a", "F32", "2305843009213693952", "0,4"), 4, "overflows 64 bits"),
        sizes("ManyDimensions",
              tensor(
                  "a", "U8",
                  [] {
                    std::string s;
                    for (int i = 0; i < 9'999; ++i) s += "2,";
                    return s + "2";
                  }(),
                  "0,4"),
              4, "overflows 64 bits"),
        sizes("Backwards", tensor("a", "F32", "1", "4,0"), 4, "go backwards"),
        sizes("TooManyBytes", tensor("a", "F32", "1", "0,8"), 8,
              "takes 4 bytes, but data_offsets [0, 8] are 8"),
        sizes("TooFewBytes", tensor("a", "F32", "100", "0,4"), 4,
              "takes 400 bytes, but data_offsets [0, 4] are 4"),
        sizes("HalfByte", tensor("a", "F4", "3", "0,2"), 2, "does not end on a byte"),
        sizes("SixBits", tensor("a", "F6_E2M3", "3", "0,3"), 3, "does not end on a byte"),
        sizes("Overlap", tensor("a", "F32", "2", "0,8") + "," + tensor("b", "F32", "2", "4,12"), 12,
              "tensors overlap"),
        sizes("Alias", tensor("a", "F32", "1", "0,4") + "," + tensor("b", "F32", "1", "0,4"), 4,
              "tensors overlap"),
        sizes("Hole", tensor("a", "F32", "1", "0,4") + "," + tensor("b", "F32", "1", "8,12"), 12,
              "there is a hole"),
        sizes("StartsLate", tensor("a", "F32", "1", "4,8"), 8, "there is a hole"),
        sizes("EmptyTensorBeyond", tensor("a", "F32", "0", "4,4"), 0, "there is a hole"),
        sizes("BeyondFile", tensor("a", "F32", "2", "0,8"), 7, "the file has only 7 data bytes"),
        sizes("FarBeyondFile", tensor("a", "U8", "2305843009213693951", "0,2305843009213693951"), 8,
              "the file has only 8 data bytes"),
        sizes("TrailingByte", tensor("a", "F32", "1", "0,4"), 5, "1 bytes follow the last tensor"),
        sizes("TrailingBytesAfterNothing", "", 16, "16 bytes follow the last tensor")),
    [](const auto& info) { return info.param.name; });

TEST(SafetensorsHeader, NamesTheByte) {
  const auto file = file_of("{" + tensor("a", "F32", "1", "0,4") + "}", 12);
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

TEST(SafetensorsHeader, ManyTinyTensorsAreNoTrouble) {
  std::string header = "{";
  for (int i = 0; i < 200'000; ++i) header += tensor(std::to_string(i), "U8", "0", "0,0") + ",";
  header.back() = '}';
  EXPECT_EQ(parse(file_of(header)).entries.size(), 200'000u);
}

}  // namespace
}  // namespace tutti::safetensors
