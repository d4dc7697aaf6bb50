#include "tutti/autograd/index.h"

#include <fmt/format.h>

#include "kernels/index.h"
#include "tensor/checks.h"
#include "tutti/autograd/node.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using autograd::Gradients;
using autograd::Needs;
using autograd::Saved;

// `index` as dense i64, each value in [0, n); on a GPU, where asking would be waiting, the kernels look themselves.
Tensor checked(const char* op, const Tensor& index, const Tensor& x, std::int64_t n) {
  check_same_device(op, index, x);
  if (index.dtype() != DType::i64 && index.dtype() != DType::i32) {
    throw DTypeError(fmt::format("{}: indices are i64 or i32, got {}", op, name_of(index.dtype())));
  }
  const Tensor dense = contiguous(to(index, DType::i64));
  if (!x.device().is_cpu()) return dense;
  const auto* values = dense.data<std::int64_t>();
  const std::int64_t bad = kernels::launch<kernels::FindOutside>(x.device(), values, dense.numel(), n);
  if (bad >= 0) {
    throw ShapeError(fmt::format("{}: index {} at position {} is outside [0, {})", op,
                                 dense.reshape({-1}).select(0, bad).item<std::int64_t>(), bad, n));
  }
  return dense;
}

// `shape` as [outer, shape[dim], inner].
struct Split {
  std::int64_t outer = 1, n, inner = 1;

  Split(const Shape& shape, int dim) : n(shape[dim]) {
    for (int i = 0; i < dim; ++i) outer *= shape[i];
    for (int i = dim + 1; i < shape.rank(); ++i) inner *= shape[i];
  }
};

// 16-bit gradients are summed in f32 and rounded once: added in bf16, ones would stop at 256. A GPU's kernels do so themselves.
DType sum_dtype(const Tensor& g) {
  return size_of(g.dtype()) == 2 && g.device().is_cpu() ? DType::f32 : g.dtype();
}

Tensor select_rows(const char* op, const Tensor& x, int dim, const Tensor& indices, const Shape& out_shape) {
  const Split split(x.shape(), dim);
  const Tensor index = checked(op, indices, x, split.n);
  const Tensor dense = contiguous(x.detach());
  Tensor out = empty(out_shape, {x.dtype(), x.device()});
  kernels::launch<kernels::IndexSelect>(x.device(), x.dtype(), dense.raw_data(), index.data<std::int64_t>(),
                                        out.raw_data(), split.outer, split.n, split.inner, index.numel());
  return autograd::record(
      op, out, {x}, [split, from = x.shape(), i = Saved(index)](const Tensor& gradient, Needs) {
        const Tensor g = contiguous(to(gradient, sum_dtype(gradient)));
        Tensor result = zeros(from, {g.dtype(), g.device()});
        kernels::launch<kernels::IndexAdd>(g.device(), g.dtype(), result.raw_data(), i->data<std::int64_t>(),
                                           g.raw_data(), split.outer, split.n, split.inner, i->numel());
        return Gradients{to(result, gradient.dtype())};
      });
}

}  // namespace

Tensor embedding(const Tensor& indices, const Tensor& weight) {
  if (weight.rank() != 2) {
    throw ShapeError(fmt::format("embedding: the weight is [n, d], got {}", weight.shape().str()));
  }
  Shape shape = indices.shape();
  shape.push_back(weight.size(1));
  return select_rows("embedding", weight, 0, indices, shape);
}

Tensor index_select(const Tensor& x, std::int64_t dim, const Tensor& indices) {
  const int d = normalize_dim("index_select", dim, x.rank());
  if (indices.rank() != 1) {
    throw ShapeError(fmt::format("index_select: the indices are a vector, got {}", indices.shape().str()));
  }
  Shape shape = x.shape();
  shape[d] = indices.numel();
  return select_rows("index_select", x, d, indices, shape);
}

Tensor gather(const Tensor& x, std::int64_t dim, const Tensor& index) {
  const int d = normalize_dim("gather", dim, x.rank());
  Shape expected = x.shape();
  if (index.rank() == x.rank()) expected[d] = index.shape()[d];
  if (index.shape() != expected) {
    throw ShapeError(fmt::format("gather: outside dimension {} the index has the sizes of x {}, got {}", d,
                                 x.shape().str(), index.shape().str()));
  }
  const Split split(x.shape(), d);
  const Tensor dense_index = checked("gather", index, x, split.n);
  const Tensor dense = contiguous(x.detach());
  Tensor out = empty(index.shape(), {x.dtype(), x.device()});
  const std::int64_t m = index.shape()[d];
  kernels::launch<kernels::Gather>(x.device(), x.dtype(), dense.raw_data(), dense_index.data<std::int64_t>(),
                                   out.raw_data(), split.outer, split.n, split.inner, m);
  return autograd::record(
      "gather", out, {x},
      [split, m, from = x.shape(), i = Saved(dense_index)](const Tensor& gradient, Needs) {
        const Tensor g = contiguous(to(gradient, sum_dtype(gradient)));
        Tensor result = zeros(from, {g.dtype(), g.device()});
        kernels::launch<kernels::ScatterAdd>(g.device(), g.dtype(), result.raw_data(),
                                             i->data<std::int64_t>(), g.raw_data(), split.outer, split.n,
                                             split.inner, m);
        return Gradients{to(result, gradient.dtype())};
      });
}

}  // namespace tutti
