// Where the elements of strided operands lie. Dimensions that lie behind each other in memory are merged on the host.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "kernels/cuda/divisor.cuh"
#include "tutti/core/shape.h"

namespace tutti::kernels {

// Of a position in the common shape of N operands.
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
    prepare();
  }

  __host__ __device__ std::int64_t count() const { return count_; }
  int rank() const { return rank_; }
  std::int64_t size(int d) const { return sizes_[d]; }
  std::int64_t stride(int operand, int d) const { return strides_[operand][d]; }
  // That of the last dimension, 0 of a number.
  __host__ __device__ std::int64_t inner_stride(int operand) const {
    return rank_ == 0 ? 0 : strides_[operand][rank_ - 1];
  }

  // The same with `n` neighbours of the last dimension as one position.
  Layout of_packs(int n) const {
    Layout result = *this;
    result.count_ /= n;
    result.sizes_[rank_ - 1] /= n;
    for (int k = 0; k < N; ++k) result.strides_[k][rank_ - 1] *= n;
    result.prepare();
    return result;
  }

  // The same without two of its dimensions.
  Layout without(int first, int second) const {
    Layout result = *this;
    result.rank_ = 0;
    for (int d = 0; d < rank_; ++d) {
      if (d == first || d == second) {
        result.count_ /= sizes_[d];
        continue;
      }
      result.sizes_[result.rank_] = sizes_[d];
      for (int k = 0; k < N; ++k) result.strides_[k][result.rank_] = strides_[k][d];
      ++result.rank_;
    }
    if (result.rank_ == 0) {
      for (int k = 0; k < N; ++k) result.strides_[k][0] = 0;
    }
    result.prepare();
    return result;
  }

  // Of fewer than 2^31 positions; offsets in elements. The outermost dimension needs no division.
  __device__ void locate(std::int64_t position, std::int64_t (&at)[N]) const {
#pragma unroll
    for (int k = 0; k < N; ++k) at[k] = 0;
    auto rest = static_cast<std::uint32_t>(position);
#pragma unroll 1
    for (int d = rank_ - 1; d > 0; --d) {
      std::uint32_t index;
      rest = divisors_[d].divide(rest, index);
#pragma unroll
      for (int k = 0; k < N; ++k) at[k] += index * strides_[k][d];
    }
#pragma unroll
    for (int k = 0; k < N; ++k) at[k] += rest * strides_[k][0];
  }

  // Two halves, cut across the largest dimension; the second begins at `at`.
  std::pair<Layout, Layout> halves(std::int64_t (&at)[N]) const {
    const auto d = std::max_element(sizes_, sizes_ + rank_) - sizes_;
    Layout first = *this, second = *this;
    first.sizes_[d] = sizes_[d] / 2;
    second.sizes_[d] = sizes_[d] - first.sizes_[d];
    for (Layout* half : {&first, &second}) {
      half->count_ = count_ / sizes_[d] * half->sizes_[d];
      half->prepare();
    }
    for (int k = 0; k < N; ++k) at[k] = first.sizes_[d] * strides_[k][d];
    return {first, second};
  }

 private:
  void prepare() {
    for (int d = 0; count_ > 0 && count_ >> 31 == 0 && d < rank_; ++d) divisors_[d] = Divisor(sizes_[d]);
  }

  std::int64_t count_;
  int rank_ = 0;
  std::int64_t sizes_[Shape::max_rank] = {};
  std::int64_t strides_[N][Shape::max_rank] = {};
  Divisor divisors_[Shape::max_rank];
};

}  // namespace tutti::kernels
