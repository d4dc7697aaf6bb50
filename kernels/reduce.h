// Reductions of the last dimension, and of the first, of a contiguous matrix.
#pragma once

#include <cstdint>

#include "kernels/launch.h"
#include "tutti/core/dtype.h"

namespace tutti::kernels {

enum class Reduction : std::uint8_t { sum, max, min };

// x is [outer, n, inner], contiguous; out [outer, inner] of the same dtype. Sums are in blocks of 1024
// elements of a row in sixteen lanes, or of 128 of a column, under a fixed tree (pairwise), in f32 for bf16 and f16, so
// that the error grows with the logarithm of n. A GPU's tree is another one, which hangs on the sizes alone.
struct Reduce {
  static constexpr const char* name = "reduce";
  static void cpu(Reduction op, DType dtype, const void* x, void* out, std::int64_t outer, std::int64_t n,
                  std::int64_t inner);
  static void cuda(Reduction op, DType dtype, const void* x, void* out, std::int64_t outer, std::int64_t n,
                   std::int64_t inner);
};

// Index of the first largest of x [outer, n, inner] along n; NaN counts as largest. out is i64.
struct ArgMax {
  static constexpr const char* name = "argmax";
  static void cpu(DType dtype, const void* x, std::int64_t* out, std::int64_t outer, std::int64_t n,
                  std::int64_t inner);
  static void cuda(DType dtype, const void* x, std::int64_t* out, std::int64_t outer, std::int64_t n,
                   std::int64_t inner);
};

}  // namespace tutti::kernels
