#include <gtest/gtest.h>

#include "tests/support/files.h"
#include "tutti/checkpoint/safetensors.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti::safetensors {
namespace {

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

}  // namespace
}  // namespace tutti::safetensors
