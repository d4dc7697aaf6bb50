#include "tutti/tensor/fingerprint.h"

#include <gmock/gmock.h>

#include <limits>
#include <numeric>
#include <set>

#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using testing::ElementsAre;

NamedTensors a_state() {
  return {{"fc.weight", tensor<float>({0, 1, 2, 3, 4, 5}, {2, 3})},
          {"fc.bias", tensor<std::int64_t>({1, -1})},
          {"scale", tensor<double>({0.5}, {})},
          {"none", zeros({0, 4}, {.dtype = DType::u8})}};
}

// What the Python package xxhash gives for the bytes that the header describes: of a little-endian machine, which
// all are that Tutti runs on.
TEST(Fingerprint, IsWhatItsDescriptionSays) {
  EXPECT_EQ(fingerprint(a_state()), "e9f761f1affdd7ca9192c321ab37af9a");
  EXPECT_EQ(fingerprint(NamedTensors{}), "99aa06d3014798d86001c324468d497f");
  EXPECT_THAT(fingerprints(a_state()),
              ElementsAre(0xfbe0749d22391784, 0xbe2c6a22d248ff1d, 0xc82b9f882fbff049, 0x60dbd177890d451b));
  std::vector<std::int32_t> values(100'000);
  for (std::uint32_t i = 0; i < 100'000; ++i) values[i] = static_cast<std::int32_t>(i * 2654435761u);
  EXPECT_EQ(fingerprint({{"big", from(values, {100, 1000})}}), "8753e66eba607d91bff0178e73bba8d5");
}

TEST(Fingerprint, EveryPartOfAListCounts) {
  std::set<std::string> all;
  const auto expect_new = [&](const NamedTensors& state) {
    EXPECT_TRUE(all.insert(fingerprint(state)).second) << "change number " << all.size();
  };
  const auto changed = [](std::size_t i, const std::string& name, const Tensor& tensor) {
    auto state = a_state();
    state[i] = {name, tensor};
    return state;
  };
  const auto state = a_state();
  expect_new(state);
  expect_new(changed(0, "fc.weighs", state[0].tensor));
  expect_new(changed(0, "fc.weight ", state[0].tensor));
  expect_new(changed(0, "fc.weight", state[0].tensor.as_strided({3, 2}, {2, 1}, 0)));
  expect_new(changed(0, "fc.weight", state[0].tensor.as_strided({6}, {1}, 0)));
  expect_new(changed(0, "fc.weight", state[0].tensor.as_strided({1, 2, 3}, {6, 3, 1}, 0)));
  expect_new(changed(1, "fc.bias", tensor<std::int32_t>({1, -1})));
  expect_new(changed(2, "scale", tensor<double>({0.5}, {1})));
  expect_new(changed(3, "none", zeros({0, 5}, {.dtype = DType::u8})));
  expect_new(changed(3, "none", zeros({0, 4}, {.dtype = DType::bool_})));
  expect_new({state[1], state[0], state[2], state[3]});
  expect_new({state[0], state[1], state[2]});
  expect_new({state[0], state[1], state[2], state[3], state[3]});
}

// Names that look like the next tensor's header must not let two lists run into one.
TEST(Fingerprint, NamesEndWhereTheyEnd) {
  const Tensor empty_one = zeros({0}, {.dtype = DType::u8});
  const NamedTensors two{{"a", empty_one}, {"b", empty_one}};
  const std::string eight("\x08\0\0\0\0\0\0\0", 8);  // the length of "u8 [0] b"
  EXPECT_NE(fingerprint(two), fingerprint({{"a" + eight + "u8 [0] b", empty_one}}));
  EXPECT_NE(fingerprint(two), fingerprint({{"au8 [0] b", empty_one}}));
}

TEST(Fingerprint, EveryByteOfEveryTensorCounts) {
  const DefaultDevice on_cpu(Device::cpu());  // where bytes can be changed
  const auto state = a_state();
  const auto whole = fingerprint(state);
  const auto each = fingerprints(state);
  for (std::size_t i = 0; i < state.size(); ++i) {
    const auto bytes = static_cast<std::size_t>(state[i].tensor.numel()) * size_of(state[i].tensor.dtype());
    auto* data = static_cast<std::uint8_t*>(state[i].tensor.raw_data());
    for (std::size_t at = 0; at < bytes; ++at) {
      data[at] ^= 1;
      EXPECT_NE(fingerprint(state), whole) << state[i].name << " byte " << at;
      const auto now = fingerprints(state);
      for (std::size_t k = 0; k < state.size(); ++k) EXPECT_EQ(now[k] != each[k], k == i) << state[k].name;
      data[at] ^= 1;
    }
  }
  EXPECT_EQ(fingerprint(state), whole);
}

TEST(Fingerprint, TellsApartWhatComparesEqual) {
  const auto of = [](float value) { return fingerprint({{"x", tensor<float>({value})}}); };
  EXPECT_NE(of(0.0f), of(-0.0f));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(of(nan), of(-nan));
  EXPECT_EQ(of(nan), of(nan));
}

TEST(Fingerprint, MemoryLayoutDoesNotCount) {
  const auto dense = tensor<float>({0, 1, 2, 3, 4, 5}, {2, 3});
  const auto expected = fingerprint({{"x", dense}});
  const auto columns = tensor<float>({0, 3, 1, 4, 2, 5}, {3, 2});
  EXPECT_EQ(fingerprint({{"x", columns.as_strided({2, 3}, {1, 2}, 0)}}), expected);
  const auto wide = tensor<float>({9, 0, 9, 1, 9, 2, 9, 3, 9, 4, 9, 5});
  EXPECT_EQ(fingerprint({{"x", wide.as_strided({2, 3}, {6, 2}, 1)}}), expected);
  EXPECT_EQ(fingerprint({{"x", tensor<float>({7}).as_strided({4}, {0}, 0)}}),
            fingerprint({{"x", full({4}, 7)}}));
}

// A strided tensor is copied before it is hashed; every pattern of bits has to survive that, NaNs too.
TEST(Fingerprint, StridedTensorsKeepTheirBits) {
  const DefaultDevice on_cpu(Device::cpu());
  std::vector<std::uint16_t> patterns(65536);
  std::iota(patterns.begin(), patterns.end(), std::uint16_t{0});
  for (const DType dtype : {DType::bf16, DType::f16}) {
    const auto dense = from_host({patterns.data(), patterns.size(), dtype}, {256, 256});
    const auto turned = empty({256, 256}, {.dtype = dtype}).as_strided({256, 256}, {1, 256}, 0);
    auto* to = static_cast<std::uint16_t*>(turned.raw_data());
    for (std::size_t i = 0; i < 256; ++i) {
      for (std::size_t j = 0; j < 256; ++j) to[j * 256 + i] = patterns[i * 256 + j];
    }
    EXPECT_EQ(fingerprint({{"x", turned}}), fingerprint({{"x", dense}})) << name_of(dtype);
  }
}

TEST(Fingerprint, RefusesTensorsWithoutAValue) {
  EXPECT_THROW(fingerprint({{"x", Tensor()}}), Error);
  EXPECT_THROW(fingerprints({{"x", Tensor()}}), Error);
}

}  // namespace
}  // namespace tutti
