// Walking strided operands: dimensions that lie behind each other in memory are merged, then the innermost is
// handed over as one run.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "tutti/core/shape.h"

namespace tutti::kernels {

// Calls f(pointers, n, steps): n elements from `pointers`, `steps` bytes apart, for each innermost run.
template <std::size_t N, typename F>
void for_each_run(const Shape& shape, std::array<char*, N> pointers,
                  const std::array<const Shape*, N>& strides, const std::array<std::size_t, N>& sizes,
                  F&& f) {
  if (shape.numel() == 0) return;
  struct Dim {
    std::int64_t size;
    std::array<std::int64_t, N> step;
  };
  std::array<Dim, Shape::max_rank + 1> dims;  // innermost first
  int rank = 0;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    if (shape[i] == 1) continue;
    Dim dim{shape[i], {}};
    bool merges = rank > 0;
    for (std::size_t k = 0; k < N; ++k) {
      dim.step[k] = (*strides[k])[i] * static_cast<std::int64_t>(sizes[k]);
      merges = merges && dim.step[k] == dims[rank - 1].step[k] * dims[rank - 1].size;
    }
    if (merges) {
      dims[rank - 1].size *= dim.size;
    } else {
      dims[rank++] = dim;
    }
  }
  if (rank == 0) {
    dims[rank] = {1, {}};
    for (std::size_t k = 0; k < N; ++k) dims[rank].step[k] = static_cast<std::int64_t>(sizes[k]);
    rank = 1;
  }
  std::array<std::int64_t, Shape::max_rank + 1> index{};
  while (true) {
    f(pointers, dims[0].size, dims[0].step);
    int d = 1;
    for (; d < rank; ++d) {
      for (std::size_t k = 0; k < N; ++k) pointers[k] += dims[d].step[k];
      if (++index[d] < dims[d].size) break;
      for (std::size_t k = 0; k < N; ++k) pointers[k] -= dims[d].step[k] * dims[d].size;
      index[d] = 0;
    }
    if (d >= rank) return;
  }
}

}  // namespace tutti::kernels
