/// \file
/// New tensors.
#pragma once

#include <initializer_list>
#include <span>
#include <vector>

#include "tutti/tensor/tensor.h"

namespace tutti {

/// Uninitialised elements.
Tensor empty(const Shape& shape, const TensorOptions& options = {});
Tensor zeros(const Shape& shape, const TensorOptions& options = {});
Tensor ones(const Shape& shape, const TensorOptions& options = {});
Tensor full(const Shape& shape, double value, const TensorOptions& options = {});
/// Shape, dtype and device of `like`, always contiguous.
Tensor empty_like(const Tensor& like);
Tensor zeros_like(const Tensor& like);
Tensor ones_like(const Tensor& like);

/// start, start + step, ... below `end` (above, for a negative step); ceil((end - start) / step) elements.
/// \throws ShapeError when `step` is 0 or leads away from `end`.
Tensor arange(double start, double end, double step = 1,
              const TensorOptions& options = {.dtype = DType::i64});
/// 0, 1, ..., end - 1
Tensor arange(std::int64_t end, const TensorOptions& options = {.dtype = DType::i64});
/// The identity, [n, n].
Tensor eye(std::int64_t n, const TensorOptions& options = {});

/// A copy of host memory, in row-major order. \throws ShapeError when its count is not `shape.numel()`.
Tensor from_host(ConstBufferView values, const Shape& shape, Device device = default_device());
template <typename T>
Tensor from(const std::vector<T>& values, const Shape& shape, Device device = default_device()) {
  return from_host({values.data(), values.size(), dtype_of<T>}, shape, device);
}
/// `tensor({1.0f, 2.0f})` is a vector, `tensor({1.0f, 2.0f}, {2, 1})` takes a shape.
template <typename T>
Tensor tensor(std::initializer_list<T> values) {
  return from_host({values.begin(), values.size(), dtype_of<T>}, {static_cast<std::int64_t>(values.size())});
}
template <typename T>
Tensor tensor(std::initializer_list<T> values, const Shape& shape) {
  return from_host({values.begin(), values.size(), dtype_of<T>}, shape);
}

/// A tensor on memory that `owner` keeps alive (or the caller, where that is null), without a copy.
Tensor from_buffer(BufferView buffer, const Shape& shape, std::shared_ptr<void> owner = nullptr);

}  // namespace tutti
