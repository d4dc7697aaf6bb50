// Tests of the CUDA back end against the CPU's. Where there is no GPU they report skipped, with the reason.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "tutti/autograd/shape.h"
#include "tutti/core/device.h"
#include "tutti/tensor/creation.h"
#include "tutti/tensor/tensor.h"

namespace tutti::test {

class GpuTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    if (!Device::has_cuda(&why)) GTEST_SKIP() << why;
    gpu = Device::cuda();
  }

  Device gpu;
};

// Numbers in (-2, 2) that differ from each other and from 0; whole numbers for integer dtypes, not negative
// for u8.
inline Tensor numbers(const Shape& shape, DType dtype, int seed = 0) {
  std::vector<double> values(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double k = static_cast<double>((i * 37 + static_cast<std::size_t>(seed) * 11 + 5) % 101) - 50.0;
    values[i] = is_floating_point(dtype)
                    ? k / 26.0 + 0.013
                    : std::fmod(std::abs(k), 7.0) * (k < 0 && dtype != DType::u8 ? -1 : 1);
  }
  return from(values, shape).to(dtype);
}

// The same elements in every layout that kernels must walk: dense, transposed, every other one of a larger
// tensor, and behind an offset.
inline std::vector<Tensor> layouts(DType dtype, int seed = 0) {
  return {numbers({3, 5, 7}, dtype, seed), numbers({7, 5, 3}, dtype, seed).transpose(0, 2),
          numbers({3, 10, 7}, dtype, seed).slice(1, 1, 10, 2),
          numbers({4, 5, 9}, dtype, seed).slice(0, 1, 4).slice(2, 2, 9),
          numbers({1, 5, 1}, dtype, seed).expand({3, 5, 7})};
}

// A view on `device` with the sizes, strides and offset of `x`: to() alone would make it dense.
inline Tensor same_view(const Tensor& x, Device device) {
  const std::int64_t count = static_cast<std::int64_t>(x.storage()->bytes() / size_of(x.dtype()));
  return x.as_strided({count}, {1}, 0).to(device).as_strided(x.shape(), x.strides(), x.offset());
}

// Checks |actual - expected| <= tolerance * (1 + |expected|); NaN equals NaN. With tolerance 0, equality.
inline void expect_close(const Tensor& actual, const Tensor& expected, double tolerance) {
  ASSERT_EQ(actual.shape(), expected.shape());
  ASSERT_EQ(actual.dtype(), expected.dtype());
  const auto a = actual.to(Device::cpu()).to(DType::f64).to_vector<double>();
  const auto e = expected.to(DType::f64).to_vector<double>();
  for (std::size_t i = 0; i < e.size(); ++i) {
    if (std::isnan(e[i]) ? std::isnan(a[i]) : a[i] == e[i]) continue;
    ASSERT_LE(std::abs(a[i] - e[i]), tolerance * (1 + std::abs(e[i])))
        << "element " << i << ": " << a[i] << ", not " << e[i];
  }
}

// A few units in the last place: both sides round, in another order, and from other polynomials.
inline double tolerance_of(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return 1e-13;
    case DType::f32:
      return 2e-6;
    case DType::f16:
      return 2e-3;
    case DType::bf16:
      return 1.6e-2;
    default:
      return 0;
  }
}

inline constexpr DType floats[] = {DType::f32, DType::f64, DType::bf16, DType::f16};
inline constexpr DType integers[] = {DType::i32, DType::i64, DType::u8};

}  // namespace tutti::test
