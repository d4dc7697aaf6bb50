// Random numbers. Each block of four words makes four f32 numbers, or two doubles, so that element i depends
// on (seed, stream, position, i) alone.
#pragma once

#include <cstdint>

#include "kernels/launch.h"
#include "tutti/core/dtype.h"

namespace tutti::kernels {

struct RandomState {
  std::uint64_t seed, stream, position;
  const RandomState* on_device = nullptr;  // where set, a kernel of a GPU reads there what counts

  TUTTI_HOST_DEVICE RandomState now() const { return on_device ? *on_device : *this; }
};

// The f32 in [0, 1) that a word makes.
TUTTI_HOST_DEVICE constexpr float random_unit(std::uint32_t word) {
  return static_cast<float>(static_cast<std::int32_t>(word >> 8)) * 0x1p-24f;
}

enum class Distribution : std::uint8_t { uniform, normal, bernoulli };

// out[i] uniform in [a, b), normal with mean a and standard deviation b, or 1 with probability a and else 0 (f32 numbers, not
// f64 ones, decide). dtype f32 or f64, on a GPU also bf16 and f16: rounded f32 numbers.
struct Random {
  static constexpr const char* name = "random";
  static void cpu(Distribution distribution, const RandomState& state, DType dtype, void* out,
                  std::int64_t count, double a, double b);
  static void cuda(Distribution distribution, const RandomState& state, DType dtype, void* out,
                   std::int64_t count, double a, double b);
};

// Elements that one block makes.
constexpr std::int64_t per_block(DType dtype) { return dtype == DType::f64 ? 2 : 4; }

// out[i] uniform in [0, range), by multiplication of a word (bias below range / 2^32); four a block.
struct RandomInt {
  static constexpr const char* name = "random_int";
  static void cpu(const RandomState& state, std::int64_t* out, std::int64_t count, std::uint64_t range,
                  std::int64_t low);
  static void cuda(const RandomState& state, std::int64_t* out, std::int64_t count, std::uint64_t range,
                   std::int64_t low);
};

}  // namespace tutti::kernels
