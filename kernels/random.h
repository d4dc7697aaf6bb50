// Random numbers. Each block of four words makes four f32 numbers, or two doubles, so that element i depends
// on (seed, stream, position, i) alone.
#pragma once

#include <cstdint>

#include "kernels/launch.h"
#include "tutti/core/dtype.h"

namespace tutti::kernels {

struct RandomState {
  std::uint64_t seed, stream, position;
};

enum class Distribution : std::uint8_t { uniform, normal };

// out[i] uniform in [a, b), or normal with mean a and standard deviation b; dtype f32 or f64.
struct Random {
  static constexpr const char* name = "random";
  static void cpu(Distribution distribution, const RandomState& state, DType dtype, void* out,
                  std::int64_t count, double a, double b);
};

// Elements that one block makes.
constexpr std::int64_t per_block(DType dtype) { return dtype == DType::f64 ? 2 : 4; }

// out[i] uniform in [0, range), by multiplication of a word (bias below range / 2^32); four a block.
struct RandomInt {
  static constexpr const char* name = "random_int";
  static void cpu(const RandomState& state, std::int64_t* out, std::int64_t count, std::uint64_t range,
                  std::int64_t low);
};

}  // namespace tutti::kernels
