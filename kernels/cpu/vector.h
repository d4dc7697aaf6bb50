// Eight floats at a time, where a compiler does not find them by itself.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/cpu/vector_math.h"

namespace tutti::kernels {

inline constexpr std::int64_t lanes = 8;
using Vector = float __attribute__((vector_size(lanes * sizeof(float))));

TUTTI_INLINE void load(Vector& vector, const float* from) { std::memcpy(&vector, from, sizeof vector); }

// from[0], from[2], ..., and nothing behind the last.
TUTTI_INLINE void load_every_second(Vector& vector, const float* from) {
  Vector first, second;
  load(first, from);
  load(second, from + lanes - 1);
  vector = __builtin_shufflevector(first, second, 0, 2, 4, 6, 9, 11, 13, 15);
}

// The first `count` of its elements.
TUTTI_INLINE void store(const Vector& vector, std::int64_t count, float* to) {
  if (count == lanes) return void(std::memcpy(to, &vector, sizeof vector));
  for (std::int64_t i = 0; i < count; ++i) to[i] = vector[i];
}

}  // namespace tutti::kernels
