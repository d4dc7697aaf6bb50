// Picking and scattering along one dimension, by indices that were checked. On a GPU nobody waits for a check: there an index
// outside picks NaN, or 0 of integers, and adds nothing.
#pragma once

#include <cstdint>

#include "kernels/launch.h"
#include "tutti/core/dtype.h"

namespace tutti::kernels {

// Position of the first index outside [0, n), or -1.
struct FindOutside {
  static constexpr const char* name = "find_outside";
  static std::int64_t cpu(const std::int64_t* index, std::int64_t count, std::int64_t n);
};

// out [outer, count, inner] = x [outer, n, inner] at index[count] along n.
struct IndexSelect {
  static constexpr const char* name = "index_select";
  static void cpu(DType dtype, const void* x, const std::int64_t* index, void* out, std::int64_t outer,
                  std::int64_t n, std::int64_t inner, std::int64_t count);
  static void cuda(DType dtype, const void* x, const std::int64_t* index, void* out, std::int64_t outer,
                   std::int64_t n, std::int64_t inner, std::int64_t count);
};

// out [outer, n, inner] += g [outer, count, inner] at index[count], in the order of the indices. A GPU sums first what falls
// on one row, 16-bit floats in f32, and long sums in pieces of fixed length.
struct IndexAdd {
  static constexpr const char* name = "index_add";
  static void cpu(DType dtype, void* out, const std::int64_t* index, const void* g, std::int64_t outer,
                  std::int64_t n, std::int64_t inner, std::int64_t count);
  static void cuda(DType dtype, void* out, const std::int64_t* index, const void* g, std::int64_t outer,
                   std::int64_t n, std::int64_t inner, std::int64_t count);
};

// out [outer, m, inner] = x [outer, n, inner] at index[outer, m, inner] along n.
struct Gather {
  static constexpr const char* name = "gather";
  static void cpu(DType dtype, const void* x, const std::int64_t* index, void* out, std::int64_t outer,
                  std::int64_t n, std::int64_t inner, std::int64_t m);
  static void cuda(DType dtype, const void* x, const std::int64_t* index, void* out, std::int64_t outer,
                   std::int64_t n, std::int64_t inner, std::int64_t m);
};

// out [outer, n, inner] += g [outer, m, inner] at index[outer, m, inner], in the same way.
struct ScatterAdd {
  static constexpr const char* name = "scatter_add";
  static void cpu(DType dtype, void* out, const std::int64_t* index, const void* g, std::int64_t outer,
                  std::int64_t n, std::int64_t inner, std::int64_t m);
  static void cuda(DType dtype, void* out, const std::int64_t* index, const void* g, std::int64_t outer,
                   std::int64_t n, std::int64_t inner, std::int64_t m);
};

}  // namespace tutti::kernels
