#include <gmock/gmock.h>

#include <cstring>

#include "tests/support/files.h"
#include "tutti/checkpoint/safetensors.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti::safetensors {
namespace {

using testing::HasSubstr;

TEST(SafetensorsTensor, RoundTripsEveryDtype) {
  test::TemporaryDirectory directory;
  NamedTensors tensors;
  for (const auto dtype : all_dtypes) {
    tensors.push_back({std::string(name_of(dtype)), tensor<float>({0, 1, 1, 0, 1, 0}, {2, 3}).to(dtype)});
  }
  save(directory / "x", tensors);
  const auto back = load(directory / "x");
  ASSERT_EQ(back.size(), tensors.size());
  for (const auto& [name, value] : back) {
    EXPECT_EQ(name_of(value.dtype()), name);
    EXPECT_EQ(value.shape(), (Shape{2, 3}));
    EXPECT_EQ(value.to(DType::f32).to_vector<float>(), (std::vector<float>{0, 1, 1, 0, 1, 0}));
  }
}

TEST(SafetensorsTensor, SavesViewsAndParameters) {
  test::TemporaryDirectory directory;
  auto weight = tensor<float>({0, 1, 2, 3, 4, 5}, {2, 3});
  weight.set_requires_grad();
  save(directory / "x", {{"w", weight},
                         {"column", weight.detach().select(1, 1)},
                         {"nothing", zeros({0, 3})},
                         {"scalar", full({}, 3)}});
  const auto back = load(directory / "x");
  for (const auto& [name, value] : back) {
    EXPECT_FALSE(value.requires_grad());
    if (name == "column") {
      EXPECT_EQ(value.to_vector<float>(), (std::vector<float>{1, 4}));
    }
    if (name == "nothing") {
      EXPECT_EQ(value.shape(), (Shape{0, 3}));
    }
    if (name == "scalar") {
      EXPECT_EQ(value.item(), 3);
    }
  }
  EXPECT_EQ(back.size(), 4u);
  EXPECT_THROW(save(directory / "y", {{"none", Tensor()}}), CheckpointError);
}

// Legal for the format, but strides of such a tensor would overflow.
TEST(SafetensorsTensor, RefusesHugeSizesBesideZero) {
  test::TemporaryDirectory directory;
  for (const char* shape :
       {"0,4611686018427387904,4611686018427387904", "0,9223372036854775808", "0,4611686018427387904"}) {
    const auto header =
        std::string(R"({"x":{"dtype":"F32","shape":[)") + shape + R"(],"data_offsets":[0,0]}})";
    std::string length(8, '\0');
    length[0] = static_cast<char>(header.size());
    test::write_file(directory / "x", length + header);
    EXPECT_EQ(Reader(directory / "x").entries().size(), 1u);
    try {
      load(directory / "x");
      FAIL() << "accepted";
    } catch (const CheckpointError& error) {
      EXPECT_THAT(error.what(), HasSubstr("its sizes overflow 63 bits"));
    }
  }
}

// The data start wherever the header ends; elements must not be touched as if they were aligned there.
TEST(SafetensorsTensor, ReadsUnalignedData) {
  test::TemporaryDirectory directory;
  std::string header = R"({"x":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})";
  while (header.size() % 8 != 3) header += ' ';
  const double value = 0.1;
  std::string file(8, '\0');
  file[0] = static_cast<char>(header.size());
  file += header;
  file.append(reinterpret_cast<const char*>(&value), 8);
  test::write_file(directory / "x", file);
  EXPECT_EQ(load(directory / "x")[0].tensor.item<double>(), 0.1);
}

}  // namespace
}  // namespace tutti::safetensors
