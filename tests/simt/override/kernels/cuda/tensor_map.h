// Stands in for kernels/cuda/tensor_map.h on a simulated GPU.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace tutti::kernels {

inline constexpr int box_columns = 64;

struct TensorMapShape {
  std::int64_t columns, rows, places, ld, unit;
};
struct TensorMap {
  const std::byte* data;
  TensorMapShape shape;
  int box_rows;
};

inline std::optional<TensorMap> tensor_map(const void* data, const TensorMapShape& shape, int box_rows) {
  constexpr std::int64_t most_bytes = std::int64_t{1} << 40;
  const bool fits = std::bit_cast<std::uintptr_t>(data) % 16 == 0 && shape.ld % 8 == 0 &&
                    shape.unit % 8 == 0 && 2 * shape.ld < most_bytes && 2 * shape.unit < most_bytes &&
                    shape.columns > 0 && shape.rows > 0 && shape.places > 0 && box_rows <= 256;
  if (!fits) return std::nullopt;
  return TensorMap{static_cast<const std::byte*>(data), shape, box_rows};
}

}  // namespace tutti::kernels
