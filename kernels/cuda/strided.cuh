// Walking strided operands on a GPU: dimensions that lie behind each other in memory are merged on the host,
// then every thread finds the elements of its positions.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cuda/grid.cuh"
#include "tutti/core/shape.h"

namespace tutti::kernels {

// Where in each of N operands the element at a position of the common shape lies.
template <int N>
class Layout {
 public:
  Layout(const Shape& shape, const Shape* const (&strides)[N]) : count_(shape.numel()) {
    for (int d = 0; d < shape.rank(); ++d) {
      if (shape[d] == 1) continue;
      bool merges = rank_ > 0;
      for (int k = 0; k < N; ++k) merges = merges && strides_[k][rank_ - 1] == (*strides[k])[d] * shape[d];
      if (merges) {
        sizes_[rank_ - 1] *= shape[d];
      } else {
        sizes_[rank_++] = shape[d];
      }
      for (int k = 0; k < N; ++k) strides_[k][rank_ - 1] = (*strides[k])[d];
    }
  }

  __host__ __device__ std::int64_t count() const { return count_; }

  // Offsets, in elements. The outermost dimension needs no division: contiguous operands have no other.
  __device__ void locate(std::int64_t position, std::int64_t (&at)[N]) const {
    for (int k = 0; k < N; ++k) at[k] = 0;
    for (int d = rank_ - 1; d > 0; --d) {
      const std::int64_t outer = position / sizes_[d];
      const std::int64_t index = position - outer * sizes_[d];
      for (int k = 0; k < N; ++k) at[k] += index * strides_[k][d];
      position = outer;
    }
    for (int k = 0; k < N; ++k) at[k] += position * strides_[k][0];
  }

 private:
  std::int64_t count_;
  int rank_ = 0;
  std::int64_t sizes_[Shape::max_rank] = {};
  std::int64_t strides_[N][Shape::max_rank] = {};
};

template <int N, typename Body>
__global__ void for_each_kernel(const Layout<N> layout, const Body body) {
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < layout.count(); i += step) {
    std::int64_t at[N];
    layout.locate(i, at);
    body(at);
  }
}

// Runs body(offsets), on the current GPU, for each position of `shape`; `offsets[k]` is the element of
// operand k. A body is a struct of plain values: it reaches the GPU as a kernel's argument.
template <int N, typename Body>
void for_each(const char* kernel, const Shape& shape, const Shape* const (&strides)[N], const Body& body) {
  const Layout<N> layout(shape, strides);
  if (layout.count() == 0) return;
  constexpr std::int64_t threads = 256;
  constexpr std::int64_t most_blocks = 1 << 14;  // fills every GPU several times over; threads then go round
  const std::int64_t blocks = std::min((layout.count() + threads - 1) / threads, most_blocks);
  run(kernel, for_each_kernel<N, Body>, {static_cast<unsigned>(blocks), static_cast<unsigned>(threads)},
      layout, body);
}

}  // namespace tutti::kernels
