// Files exchanged with Python's own safetensors package, in both directions.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstdlib>
#include <limits>
#include <set>
#include <span>

#include "tests/support/files.h"
#include "tutti/checkpoint/safetensors.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti::safetensors {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* odd_name = "größe/\U0001F600 \"quoted\"\\";

class SafetensorsInterop : public testing::Test {
 protected:
  void SetUp() override {
    if (std::system(TUTTI_PYTHON " -c 'import numpy, safetensors' 2>/dev/null") != 0) {
      GTEST_SKIP() << TUTTI_PYTHON
          " has no packages numpy and safetensors; -DTUTTI_PYTHON=... names one that has";
    }
  }

  void python(const std::string& script) const {
    const auto command =
        fmt::format("{} {}/{} '{}'", TUTTI_PYTHON, TUTTI_TEST_SOURCES, script, directory_.path().string());
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }

  test::TemporaryDirectory directory_;
};

TEST_F(SafetensorsInterop, ReadsWhatPythonWrites) {
  python("interop_write.py");
  const Reader reader(directory_ / "python.safetensors");
  EXPECT_THAT(reader.metadata(),
              ElementsAre(testing::Pair("format", "np"), testing::Pair("größe", "ä\n\t\"{}")));
  ASSERT_EQ(reader.entries().size(), 10u);
  const auto read = [&](const char* name) { return reader.read(reader.at(name)); };
  EXPECT_EQ(read("f32").shape(), (Shape{2, 3}));
  EXPECT_THAT(read("f32").to_vector<float>(),
              ElementsAre(1.5f, -2, 0, std::numeric_limits<float>::infinity(), 1e-40f, 3));
  EXPECT_THAT(read("f64").to_vector<double>(), ElementsAre(0.1, -1e300));
  EXPECT_THAT(read("f16").to(DType::f32).to_vector<float>(),
              ElementsAre(1.5f, -65504, float(float16(6e-8f))));
  EXPECT_THAT(read("i32").to_vector<std::int32_t>(), ElementsAre(std::numeric_limits<std::int32_t>::min(),
                                                                 std::numeric_limits<std::int32_t>::max()));
  EXPECT_THAT(read("i64").to_vector<std::int64_t>(), ElementsAre(std::numeric_limits<std::int64_t>::min(),
                                                                 std::numeric_limits<std::int64_t>::max()));
  EXPECT_THAT(read("u8").to_vector<std::uint8_t>(), ElementsAre(0, 255));
  EXPECT_EQ(read("bool").dtype(), DType::bool_);
  EXPECT_THAT(read("bool").to(DType::u8).to_vector<std::uint8_t>(), ElementsAre(1, 0, 1));
  EXPECT_EQ(read("scalar").shape(), Shape{});
  EXPECT_EQ(read("scalar").item<std::int64_t>(), 7);
  EXPECT_EQ(read("empty").shape(), (Shape{2, 0, 3}));
  EXPECT_EQ(read(odd_name).item<int>(), 42);
}

TEST_F(SafetensorsInterop, NamesWhatTuttiLacks) {
  python("interop_write.py");
  const auto refusal = [&](const char* file) -> std::string {
    try {
      load(directory_ / file);
    } catch (const CheckpointError& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  EXPECT_THAT(refusal("int8.safetensors"), HasSubstr("tensor \"x\": Tutti has no dtype I8"));
  EXPECT_THAT(refusal("rank9.safetensors"),
              HasSubstr("tensor \"x\": 9 dimensions, and a Tensor has at most 8"));
}

TEST_F(SafetensorsInterop, PythonReadsWhatTuttiWrites) {
  const auto f32 = tensor<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  save(directory_ / "tutti.safetensors",
       {{"f32", f32.transpose(0, 1)},  // strided
        {"f64", tensor<double>({0.1, -1e300}, {2})},
        {"f16", tensor<float>({1.5f, -2}, {2}).to(DType::f16)},
        {"bf16", tensor<float>({1, -3}, {2}).to(DType::bf16)},
        {"i32", tensor<std::int32_t>({-7, 7}, {2})},
        {"i64", tensor<std::int64_t>({std::int64_t{1} << 62}, {})},
        {"u8", tensor<std::uint8_t>({0, 255}, {2})},
        {"bool", tensor<bool>({true, false}, {2})},
        {"empty", zeros({0, 4})},
        {odd_name, tensor<std::int32_t>({42}, {1})}},
       {{"größe", "ä\n\t\"{}"}});
  save(directory_ / "same.safetensors",
       {{"b", f32}, {"a", f32}, {"c", tensor<std::int64_t>({1}, {})}, {"d", zeros({0})}}, {{"k", "v"}});
  python("interop_read.py");
}

// Those that Tutti lacks too, as bytes. Written again, the file is the same.
TEST_F(SafetensorsInterop, EveryDtypeGoesBothWays) {
  python("interop_dtypes.py");
  const Reader reader(directory_ / "python.safetensors");
  std::set<std::string> dtypes;
  std::vector<Declaration> declarations;
  for (const auto& entry : reader.entries()) {
    dtypes.insert(entry.dtype);
    declarations.push_back({entry.name, entry.dtype, entry.shape});
  }
  EXPECT_EQ(dtypes.size(), 20u);  // all but those of six bits
  Writer writer(directory_ / "tutti.safetensors", std::move(declarations), reader.metadata());
  for (const auto& entry : reader.entries()) {
    std::vector<std::byte> bytes(entry.bytes);
    reader.read_bytes(entry, 0, bytes);
    writer.append(entry.name, bytes);
  }
  writer.commit();

  Writer six(directory_ / "six.safetensors",
             {{"a", "F6_E2M3", {4}}, {"b", "F6_E3M2", {2, 4}}, {"c", "F4", {2}}, {"d", "F6_E2M3", {0}}});
  six.append("b", std::as_bytes(std::span("defghi", 6)));
  six.append("a", std::as_bytes(std::span("abc", 3)));
  six.append("c", std::as_bytes(std::span("j", 1)));
  six.commit();
  python("interop_dtypes.py");
}

}  // namespace
}  // namespace tutti::safetensors
