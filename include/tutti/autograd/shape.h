/// \file
/// Views and rearrangements. A view shares storage with its source; nothing is copied unless said.
#pragma once

#include <vector>

#include "tutti/tensor/tensor.h"

namespace tutti {

/// Other sizes, same elements in row-major order; one size may be -1. A view if strides allow, else a copy.
Tensor reshape(const Tensor& x, const Shape& shape);
Tensor transpose(const Tensor& x, std::int64_t dim0, std::int64_t dim1);
/// Dimension i of the result is dimension dims[i] of `x`.
Tensor permute(const Tensor& x, const Shape& dims);
/// Repeats dimensions of size 1 (and new leading ones) without a copy; -1 keeps a size.
Tensor expand(const Tensor& x, const Shape& shape);
/// Elements start, start + step, ... below `end` along `dim`; negative bounds count from the end, both are
/// clipped as in NumPy.
/// \throws ShapeError for step < 1.
Tensor slice(const Tensor& x, std::int64_t dim, std::int64_t start, std::int64_t end, std::int64_t step = 1);
/// One index along `dim`, which disappears.
Tensor select(const Tensor& x, std::int64_t dim, std::int64_t index);
Tensor unsqueeze(const Tensor& x, std::int64_t dim);
/// Removes a dimension of size 1. \throws ShapeError when it has another size.
Tensor squeeze(const Tensor& x, std::int64_t dim);
Tensor flatten(const Tensor& x, std::int64_t start_dim = 0, std::int64_t end_dim = -1);

/// `x` itself when contiguous, else a copy.
Tensor contiguous(const Tensor& x);
/// A contiguous copy.
Tensor clone(const Tensor& x);
/// Conversion to another dtype or device; `x` itself when nothing changes.
Tensor to(const Tensor& x, DType dtype);
Tensor to(const Tensor& x, Device device);

/// Joins along an existing dimension. \throws ShapeError when other sizes differ, or for an empty list.
Tensor cat(const std::vector<Tensor>& tensors, std::int64_t dim = 0);
/// Joins along a new dimension.
Tensor stack(const std::vector<Tensor>& tensors, std::int64_t dim = 0);
/// Views of `size` along `dim`, the last one smaller where it does not divide.
std::vector<Tensor> split(const Tensor& x, std::int64_t size, std::int64_t dim = 0);

}  // namespace tutti
