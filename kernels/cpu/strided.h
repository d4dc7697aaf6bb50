// Walking strided operands: dimensions that lie behind each other in memory are merged, then the innermost is
// handed over as one run.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "core/parallel_for.h"
#include "tutti/core/shape.h"

namespace tutti::kernels {

// Dimensions of N operands, innermost first, with the bytes that a step along each takes.
template <std::size_t N>
struct MergedDims {
  struct Dim {
    std::int64_t size;
    std::array<std::int64_t, N> step;
  };
  std::array<Dim, Shape::max_rank + 1> dims;
  int rank = 0;

  MergedDims(const Shape& shape, const std::array<const Shape*, N>& strides,
             const std::array<std::size_t, N>& sizes) {
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
  }

  // Calls f for the runs [first, last) of those that `pointers` begin.
  template <typename F>
  void walk(std::array<char*, N> pointers, std::int64_t first, std::int64_t last, const F& f) const {
    std::array<std::int64_t, Shape::max_rank + 1> index{};
    std::int64_t rest = first;
    for (int d = 1; d < rank; rest /= dims[d++].size) {
      index[d] = rest % dims[d].size;
      for (std::size_t k = 0; k < N; ++k) pointers[k] += dims[d].step[k] * index[d];
    }
    for (std::int64_t run = first; run < last; ++run) {
      f(pointers, dims[0].size, dims[0].step);
      for (int d = 1; d < rank; ++d) {
        for (std::size_t k = 0; k < N; ++k) pointers[k] += dims[d].step[k];
        if (++index[d] < dims[d].size) break;
        for (std::size_t k = 0; k < N; ++k) pointers[k] -= dims[d].step[k] * dims[d].size;
        index[d] = 0;
      }
    }
  }
};

// Calls f(pointers, n, steps): n elements from `pointers`, `steps` bytes apart, for each innermost run, or for a part
// of it; the threads share them.
template <std::size_t N, typename F>
void for_each_run(const Shape& shape, std::array<char*, N> pointers,
                  const std::array<const Shape*, N>& strides, const std::array<std::size_t, N>& sizes,
                  const F& f) {
  const std::int64_t count = shape.numel();
  if (count == 0) return;
  const MergedDims<N> merged(shape, strides, sizes);
  const auto& run = merged.dims[0];
  const std::int64_t runs = count / run.size;
  if (runs == 1) {
    parallel_for(count, piece_elements, [&](std::int64_t first, std::int64_t last) {
      auto from = pointers;
      for (std::size_t k = 0; k < N; ++k) from[k] += run.step[k] * first;
      f(from, last - first, run.step);
    });
  } else {
    parallel_for(runs, piece_rows(run.size),
                 [&](std::int64_t first, std::int64_t last) { merged.walk(pointers, first, last, f); });
  }
}

}  // namespace tutti::kernels
