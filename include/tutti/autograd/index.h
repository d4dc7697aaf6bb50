/// \file
/// Picking elements by index. Indices are i64 (or i32) and checked: out of range is a ShapeError that names
/// the value and its position. On a GPU nothing waits for the check: there an index out of range picks NaN, of integers 0, and
/// has no part in the gradient.
///
/// Gradients have the same bits run after run, also where several indices are equal.
#pragma once

#include "tutti/tensor/tensor.h"

namespace tutti {

/// Rows of `weight` [n, d] by `indices` [...]: [..., d].
Tensor embedding(const Tensor& indices, const Tensor& weight);
/// Slices of `x` along `dim` by a vector of indices.
Tensor index_select(const Tensor& x, std::int64_t dim, const Tensor& indices);
/// out[i][j] = x[i][index[i][j]] for dim 1, and so on; `index` has the rank of `x`, and its sizes outside
/// `dim`.
Tensor gather(const Tensor& x, std::int64_t dim, const Tensor& index);

}  // namespace tutti
