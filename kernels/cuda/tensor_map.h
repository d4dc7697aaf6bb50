// What tells the copy engine of an SM (TMA) of a matrix of each head: boxes of it come into shared memory with one instruction. The
// simulated GPU of tests/simt has its own file in the place of this one.
#pragma once

#include <cuda.h>

#include <cstdint>
#include <optional>

namespace tutti::kernels {

using TensorMap = CUtensorMap;

// Columns that a box has, 128 bytes of them.
inline constexpr int box_columns = 64;

// Of elements of 16 bits at data + column + row * ld + place * unit; boxes have `box_rows` rows of one place. Behind the last
// column and row there are zeros. None where the driver can't say so: it wants multiples of 8 for `ld` and `unit`.
struct TensorMapShape {
  std::int64_t columns, rows, places, ld, unit;
};
std::optional<TensorMap> tensor_map(const void* data, const TensorMapShape& shape, int box_rows);

}  // namespace tutti::kernels
