// Faults 1 to 26 of docs/checkpoint-faults.md: files that break a rule of the format, each once, and those that only look as if.
#include <gmock/gmock.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "tests/checkpoint/header_bytes.h"
#include "tests/support/files.h"
#include "tutti/core/error.h"
#include "tutti/tensor/tensor.h"

namespace tutti::safetensors {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

struct Broken {
  const char* name;
  std::string file;
  const char* message;
  std::int64_t offset = -1;  // checked where it is given
};

void PrintTo(const Broken& broken, std::ostream* stream) { *stream << broken.name; }

// Lenient readers let bytes behind the last tensor pass, and nothing else.
bool only_trails(const Broken& broken) {
  return std::string_view(broken.name).starts_with("Fault21_Trailing");
}

class FaultParser : public testing::TestWithParam<Broken> {};

TEST_P(FaultParser, IsRefused) {
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
  const auto leniently = [] { parse(GetParam().file, {.lenient = true}); };
  if (only_trails(GetParam())) {
    EXPECT_NO_THROW(leniently());
  } else {
    EXPECT_THROW(leniently(), CheckpointError);
  }
}

std::string length_only(std::uint64_t length, const std::string& rest = "{}") {
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + rest;
}

const std::string f32 = entry("a", "F32", "1", "0,4");

INSTANTIATE_TEST_SUITE_P(
    Length, FaultParser,
    testing::Values(Broken{"Fault01_Empty", "", "at least the 8 bytes", 0},
                    Broken{"Fault02_SevenBytes", std::string(7, '\0'), "at least the 8 bytes"},
                    Broken{"Fault03_BeyondFile", length_only(3), "claims 3 bytes, but 2 follow", 0},
                    Broken{"Fault04_Wraps", length_only(~0ull), "at most 100000000", 0},
                    Broken{"Fault04_WrapsToHeader", length_only(~0ull - 5), "at most 100000000"},
                    Broken{"Fault05_OverLimit", length_only(100'000'001, std::string(64, ' ')),
                           "at most 100000000"},
                    Broken{"Fault06_Zero", length_only(0, ""), "must be a JSON object", 8}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Json, FaultParser,
    testing::Values(
        Broken{"Fault07_Truncated", file_of(R"({"a":{"dtype":"F3)"), "no JSON"},
        Broken{"Fault08_NotJson", file_of("hello"), "must be a JSON object", 8},
        Broken{"Fault08_Array", file_of("[]"), "must be a JSON object"},
        Broken{"Fault08_Scalar", file_of("1"), "must be a JSON object"},
        Broken{"Fault08_Null", file_of("null"), "must be a JSON object"},
        Broken{"Fault08_OnlySpaces", file_of("   "), "must be a JSON object"},
        Broken{"Fault08_ByteOrderMark", file_of("\xef\xbb\xbf{}"), "must be a JSON object"},
        Broken{"Fault08_TwoObjects", file_of("{}{}"), "no JSON"},
        Broken{"Fault09_NulAfterObject", file_of(std::string("{}\0\0", 4)), "NUL", 10},
        Broken{"Fault21_PolyglotAfterNul", file_of(std::string("{}\0<html>", 9)), "NUL"},
        Broken{"Fault08_Comment", file_of("{/**/}"), "no JSON"},
        Broken{"Fault08_TrailingComma", file_of("{" + f32 + ",}", 4), "no JSON"},
        Broken{"Fault09_InvalidUtf8", file_of("{" + entry("\xff", "F32", "1", "0,4") + "}", 4), "UTF-8"},
        Broken{"Fault09_OverlongUtf8", file_of("{" + entry("\xc0\xaf", "F32", "1", "0,4") + "}", 4), "UTF-8"},
        Broken{"Fault09_SurrogateUtf8", file_of("{" + entry("\xed\xa0\x80", "F32", "1", "0,4") + "}", 4),
               "UTF-8"},
        Broken{"Fault09_LoneSurrogate", file_of("{" + entry("\\ud800", "F32", "1", "0,4") + "}", 4),
               "surrogate"},
        Broken{"Fault10_DeepArrays", file_of("{\"a\":" + std::string(100'000, '[')),
               "must be an object, not an array"},
        Broken{"Fault10_DeepObjects", file_of([] {
                 std::string s;
                 for (int i = 0; i < 100'000; ++i) s += "{\"a\":";
                 return s;
               }()),
               "unknown field \"a\""},
        Broken{"Fault10_DeepShape", file_of(R"({"a":{"shape":[[[[)"),
               "list of unsigned integers, not an array"},
        Broken{"Fault11_DuplicateTensor", file_of("{" + f32 + "," + f32 + "}", 4),
               "duplicate tensor name \"a\""},
        Broken{"Fault11_DuplicateEmptyTensor",
               file_of("{" + entry("a", "F32", "0", "0,0") + "," + entry("a", "F32", "0", "0,0") + "}"),
               "duplicate tensor name \"a\""},
        Broken{"Fault11_DuplicateMetadata", file_of(R"({"__metadata__":{},"__metadata__":{}})"),
               "duplicate key \"__metadata__\""},
        Broken{"Fault11_DuplicateNote", file_of(R"({"__metadata__":{"k":"1","k":"2"}})"),
               "duplicate metadata key \"k\""},
        Broken{"Fault11_DuplicateField",
               file_of(R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4),
               "duplicate field \"dtype\""}),
    [](const auto& info) { return info.param.name; });

Broken field(const char* name, const std::string& entry, const char* message) {
  return {name, file_of("{\"a\":" + entry + "}", 4), message};
}

INSTANTIATE_TEST_SUITE_P(
    Fields, FaultParser,
    testing::Values(
        field("Fault12_UnknownDtype", R"({"dtype":"F128","shape":[1],"data_offsets":[0,4]})",
              "unknown dtype \"F128\""),
        field("Fault12_LowerCaseDtype", R"({"dtype":"f32","shape":[1],"data_offsets":[0,4]})",
              "unknown dtype \"f32\""),
        field("Fault12_NumberDtype", R"({"dtype":32,"shape":[1],"data_offsets":[0,4]})",
              "dtype must be a string, not a number"),
        field("Fault12_ListDtype", R"({"dtype":["F32"],"shape":[1],"data_offsets":[0,4]})",
              "dtype must be a string, not an array"),
        field("Fault12_NoDtype", R"({"shape":[1],"data_offsets":[0,4]})", "field \"dtype\" is missing"),
        field("Fault12_NoShape", R"({"dtype":"F32","data_offsets":[0,4]})", "field \"shape\" is missing"),
        field("Fault12_NoOffsets", R"({"dtype":"F32","shape":[1]})", "field \"data_offsets\" is missing"),
        field("Fault12_NoFields", "{}", "is missing"),
        field("Fault12_ExtraField", R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1})",
              "unknown field \"x\""),
        field("Fault12_EntryIsString", "\"F32\"", "must be an object, not a string"),
        field("Fault12_EntryIsList", "[1]", "must be an object, not an array"),
        field("Fault12_EntryIsNull", "null", "must be an object, not null"),
        field("Fault12_EntryIsTrue", "true", "must be an object, not a boolean"),
        field("Fault12_ShapeIsNumber", R"({"dtype":"F32","shape":1,"data_offsets":[0,4]})",
              "list of unsigned integers, not a number"),
        field("Fault12_ShapeOfStrings", R"({"dtype":"F32","shape":["1"],"data_offsets":[0,4]})",
              "list of unsigned integers, not a string"),
        field("Fault12_ShapeOfObjects", R"({"dtype":"F32","shape":[{}],"data_offsets":[0,4]})",
              "list of unsigned integers, not an object"),
        field("Fault12_ShapeNegative", R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})",
              "not a negative number"),
        field("Fault12_ShapeMinusZero", R"({"dtype":"F32","shape":[1,-0],"data_offsets":[0,4]})",
              "not a negative number"),
        field("Fault12_ShapeFloat", R"({"dtype":"F32","shape":[1.0],"data_offsets":[0,4]})",
              "1.0, which is no unsigned 64-bit integer"),
        field("Fault12_ShapeExponent", R"({"dtype":"F32","shape":[1e0],"data_offsets":[0,4]})",
              "1e0, which is no unsigned"),
        field("Fault12_ShapeAbove64Bits",
              R"({"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4]})",
              "no unsigned 64-bit integer"),
        field("Fault12_OffsetFloat", R"({"dtype":"F32","shape":[1],"data_offsets":[0,4.0]})",
              "4.0, which is no unsigned"),
        field("Fault12_OffsetNegative", R"({"dtype":"F32","shape":[1],"data_offsets":[-4,0]})",
              "not a negative number"),
        field("Fault12_OneOffset", R"({"dtype":"F32","shape":[1],"data_offsets":[4]})",
              "must be two numbers, not 1"),
        field("Fault12_ThreeOffsets", R"({"dtype":"F32","shape":[1],"data_offsets":[0,4,8]})",
              "must be two numbers, not 3"),
        Broken{"Fault23_MetadataNumber", file_of(R"({"__metadata__":{"step":1}})"),
               "metadata \"step\" must be a string, not a number"},
        Broken{"Fault23_MetadataNested", file_of(R"({"__metadata__":{"a":{"b":"c"}}})"),
               "metadata \"a\" must be a string, not an object"},
        Broken{"Fault23_MetadataNull", file_of(R"({"__metadata__":null})"),
               "\"__metadata__\" must be an object, not null"},
        Broken{"Fault23_MetadataString", file_of(R"({"__metadata__":"pt"})"),
               "\"__metadata__\" must be an object, not a string"}),
    [](const auto& info) { return info.param.name; });

Broken sizes(const char* name, const std::string& tensors, std::size_t data, const char* message) {
  return {name, file_of("{" + tensors + "}", data), message};
}

INSTANTIATE_TEST_SUITE_P(
    Offsets, FaultParser,
    testing::Values(
        sizes("Fault13_ShapeOverflow", entry("a", "F32", "4294967296,4294967296", "0,0"), 0,
              "overflows 64 bits"),
        sizes("Fault13_ShapeOverflowsToSize", entry("a", "U8", "9223372036854775808,2,2", "0,4"), 4,
              "overflows 64 bits"),
        sizes("Fault13_BitsOverflow", entry("a", "F32", "2305843009213693952", "0,4"), 4,
              "overflows 64 bits"),
        sizes("Fault13_ManyDimensions",
              entry(
                  "a", "U8",
                  [] {
                    std::string s;
                    for (int i = 0; i < 9'999; ++i) s += "2,";
                    return s + "2";
                  }(),
                  "0,4"),
              4, "overflows 64 bits"),
        sizes("Fault14_Backwards", entry("a", "F32", "1", "4,0"), 4, "go backwards"),
        sizes("Fault20_TooManyBytes", entry("a", "F32", "1", "0,8"), 8,
              "takes 4 bytes, but data_offsets [0, 8] are 8"),
        sizes("Fault20_TooFewBytes", entry("a", "F32", "100", "0,4"), 4,
              "takes 400 bytes, but data_offsets [0, 4] are 4"),
        sizes("Fault22_HalfByte", entry("a", "F4", "3", "0,2"), 2, "does not end on a byte"),
        sizes("Fault22_SixBits", entry("a", "F6_E2M3", "3", "0,3"), 3, "does not end on a byte"),
        sizes("Fault15_Overlap", entry("a", "F32", "2", "0,8") + "," + entry("b", "F32", "2", "4,12"), 12,
              "tensors overlap"),
        sizes("Fault16_Alias", entry("a", "F32", "1", "0,4") + "," + entry("b", "F32", "1", "0,4"), 4,
              "tensors overlap"),
        sizes("Fault17_Hole", entry("a", "F32", "1", "0,4") + "," + entry("b", "F32", "1", "8,12"), 12,
              "there is a hole"),
        sizes("Fault18_StartsLate", entry("a", "F32", "1", "4,8"), 8, "there is a hole"),
        sizes("Fault17_EmptyTensorBeyond", entry("a", "F32", "0", "4,4"), 0, "there is a hole"),
        sizes("Fault19_BeyondFile", entry("a", "F32", "2", "0,8"), 7, "the file has only 7 data bytes"),
        sizes("Fault19_FarBeyondFile", entry("a", "U8", "2305843009213693951", "0,2305843009213693951"), 8,
              "the file has only 8 data bytes"),
        sizes("Fault21_TrailingByte", entry("a", "F32", "1", "0,4"), 5, "1 bytes follow the last tensor"),
        sizes("Fault21_TrailingBytesAfterNothing", "", 16, "16 bytes follow the last tensor")),
    [](const auto& info) { return info.param.name; });

TEST(FaultParserHeader, Fault09_AnEscapedNulInANameIsAName) {
  const auto header = parse(file_of("{" + entry("a\\u0000b", "U8", "0", "0,0") + "}"));
  EXPECT_EQ(header.entries[0].name, std::string("a\0b", 3));
}

TEST(FaultParserHeader, Fault10_ManyTinyTensorsAreRead) {
  std::string header = "{";
  for (int i = 0; i < 200'000; ++i) header += entry(std::to_string(i), "U8", "0", "0,0") + ",";
  header.back() = '}';
  EXPECT_EQ(parse(file_of(header)).entries.size(), 200'000u);
}

TEST(FaultParserHeader, Fault10_ALongNameIsRead) {
  const std::string name(20'000'000, 'x');
  EXPECT_EQ(parse(file_of("{" + entry(name, "U8", "0", "0,0") + "}")).entries[0].name, name);
}

// A double would have made them even.
TEST(FaultParserHeader, Fault12_NumbersAbove53BitsAreExact) {
  const auto header = parse(file_of("{" + entry("a", "U8", "0,9007199254740993", "0,0") + "," +
                                    entry("b", "U8", "18446744073709551615,0", "0,0") + "}"));
  EXPECT_EQ(header.entries[0].shape[1], 9007199254740993u);
  EXPECT_EQ(header.entries[1].shape[0], 18446744073709551615u);
}

// One range of a small file would be as many tensors in memory.
TEST(FaultParserHeader, Fault16_ManyAliasesAreRefused) {
  std::string header = "{";
  for (int i = 0; i < 10'000; ++i) header += entry(std::to_string(i), "U8", "1048576", "0,1048576") + ",";
  header.back() = '}';
  EXPECT_THAT([&] { parse(file_of(header, 1 << 20)); },
              ThrowsMessage<CheckpointError>(HasSubstr("tensors overlap")));
}

// Legal for the format, but strides of such a tensor would overflow.
TEST(FaultParserFile, Fault13_HugeSizesBesideZeroAreListedAndNotRead) {
  const test::TemporaryDirectory directory;
  for (const char* shape :
       {"0,4611686018427387904,4611686018427387904", "0,9223372036854775808", "0,4611686018427387904"}) {
    test::write_file(directory / "x", file_of("{" + entry("x", "F32", shape, "0,0") + "}"));
    EXPECT_EQ(Reader(directory / "x").entries().size(), 1u);
    EXPECT_THAT([&] { load(directory / "x"); },
                ThrowsMessage<CheckpointError>(HasSubstr("its sizes overflow 63 bits")));
  }
}

// The data start wherever the header ends; elements must not be touched as if they were aligned there.
TEST(FaultParserFile, Fault24_UnalignedDataAreCopied) {
  const test::TemporaryDirectory directory;
  std::string header = "{" + entry("x", "F64", "1", "0,8") + "}";
  while (header.size() % 8 != 3) header += ' ';
  const double value = 0.1;
  test::write_file(directory / "x", file_of(header) + std::string(reinterpret_cast<const char*>(&value), 8));
  EXPECT_EQ(load(directory / "x")[0].tensor.item<double>(), 0.1);
  const Mapping mapping(directory / "x");
  EXPECT_EQ(mapping.tensor(mapping.at("x")).item<double>(), 0.1);
}

template <typename Bits>
void expect_same_bits(DType dtype, const std::vector<Bits>& bits) {
  const test::TemporaryDirectory directory;
  const Item items[] = {
      {"x", {static_cast<std::int64_t>(bits.size())}, ConstBufferView(bits.data(), bits.size(), dtype)}};
  write(directory / "x", items);
  const Reader reader(directory / "x");
  std::vector<Bits> back(bits.size());
  reader.read(reader.at("x"), BufferView(back.data(), back.size(), dtype));
  EXPECT_EQ(back, bits) << name_of(dtype);
  const Tensor loaded = load(directory / "x")[0].tensor;
  EXPECT_EQ(std::memcmp(loaded.raw_data(), bits.data(), bits.size() * sizeof(Bits)), 0) << name_of(dtype);
}

// Quiet and signalling, with payloads; infinities, the smallest number, minus zero.
TEST(FaultParserFile, Fault25_NansAndInfinitiesKeepTheirBits) {
  expect_same_bits<std::uint16_t>(DType::f16, {0x7e01, 0x7c01, 0xfc00, 0x0001, 0x8000});
  expect_same_bits<std::uint16_t>(DType::bf16, {0x7fc1, 0x7f81, 0xff80, 0x0001, 0x8000});
  expect_same_bits<std::uint32_t>(DType::f32, {0x7fc00001, 0x7f800001, 0xff800000, 0x00000001, 0x80000000});
  expect_same_bits<std::uint64_t>(DType::f64, {0x7ff8000000000001, 0x7ff0000000000001, 0xfff0000000000000,
                                               0x0000000000000001, 0x8000000000000000});
}

// The library does not compile for a big-endian host; here a file has its bytes in the order of the format.
TEST(FaultParserFile, Fault26_BytesAreLittleEndian) {
  const test::TemporaryDirectory directory;
  const std::string length("\x36\0\0\0\0\0\0\0", 8), value("\x04\x03\x02\x01", 4);
  test::write_file(directory / "x",
                   length + R"({"x":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}})" + value);
  EXPECT_EQ(load(directory / "x")[0].tensor.item<std::int32_t>(), 0x01020304);
}

}  // namespace
}  // namespace tutti::safetensors
