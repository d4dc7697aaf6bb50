#include "tutti/autograd/reduce.h"

#include <fmt/format.h>

#include <algorithm>

#include "autograd/optional.h"
#include "kernels/reduce.h"
#include "tensor/checks.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/math.h"
#include "tutti/autograd/node.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using autograd::Gradients;
using autograd::Needs;
using autograd::Saved;
using kernels::Reduction;

Shape all_dims(const Tensor& x) {
  Shape dims;
  for (int i = 0; i < x.rank(); ++i) dims.push_back(i);
  return dims;
}

// The dimensions sorted, each once.
Shape normalized(const char* op, const Tensor& x, const Shape& dims) {
  Shape kept = Shape::filled(x.rank(), 0);
  for (const auto dim : dims) {
    auto& seen = kept[normalize_dim(op, dim, x.rank())];
    if (seen++) throw ShapeError(fmt::format("{}: dimension {} is named twice in {}", op, dim, dims.str()));
  }
  Shape result;
  for (int i = 0; i < x.rank(); ++i) {
    if (kept[i]) result.push_back(i);
  }
  return result;
}

Shape reduced_shape(const Tensor& x, const Shape& dims, bool keepdim) {
  Shape shape = x.shape();
  for (int i = dims.rank() - 1; i >= 0; --i) {
    if (keepdim)
      shape[static_cast<int>(dims[i])] = 1;
    else
      shape.erase(static_cast<int>(dims[i]));
  }
  return shape;
}

// `x`, contiguous, as [outer, n, inner] with the reduced dimensions as n. They are one run after a
// permutation.
struct Blocks {
  Tensor dense;
  std::int64_t outer = 1, n = 1, inner = 1;

  Blocks(const Tensor& x, const Shape& dims) {
    const auto is_reduced = [&dims](std::int64_t i) {
      return std::find(dims.begin(), dims.end(), i) != dims.end();
    };
    Shape order;
    const bool adjacent = dims.empty() || dims.back() - dims[0] == dims.rank() - 1;
    for (int i = 0; i < x.rank(); ++i) {
      if (adjacent || !is_reduced(i)) order.push_back(i);
    }
    if (!adjacent) {
      for (const auto dim : dims) order.push_back(dim);
    }
    dense = autograd::dense(permute(x.detach(), order));
    bool passed = false;
    for (int i = 0; i < order.rank(); ++i) {
      const std::int64_t size = dense.shape()[i];
      if (is_reduced(order[i])) {
        n *= size;
        passed = true;
      } else {
        (passed ? inner : outer) *= size;
      }
    }
  }
};

Tensor reduce(Reduction op, const Tensor& x, const Shape& dims, bool keepdim) {
  const Blocks blocks(x, dims);
  Tensor out = empty(reduced_shape(x, dims, keepdim), {x.dtype(), x.device()});
  kernels::launch<kernels::Reduce>(x.device(), op, x.dtype(), blocks.dense.raw_data(), out.raw_data(),
                                   blocks.outer, blocks.n, blocks.inner);
  return out;
}

Tensor extremum(Reduction op, const char* name, const Tensor& x, const Shape& given, bool keepdim) {
  const Shape dims = normalized(name, x, given);
  if (x.dtype() == DType::bool_)
    throw DTypeError(fmt::format("{}: not defined for bool; convert with to(dtype)", name));
  if (x.numel() == 0)
    throw ShapeError(fmt::format("{}: {} has no elements to choose from", name, x.shape().str()));
  const Tensor out = reduce(op, x, dims, keepdim);
  return autograd::record(name, out, {x}, [s = Saved(x), y = Saved(out), dims](const Tensor& g, Needs) {
    const Shape kept = reduced_shape(*s, dims, true);
    const Tensor wins = eq(*s, reshape(*y, kept)).to(g.dtype());
    return Gradients{wins * (reshape(g, kept) / sum(wins, dims, true))};
  });
}

}  // namespace

Tensor sum(const Tensor& x, const Shape& given, bool keepdim) {
  const Shape dims = normalized("sum", x, given);
  if (!is_floating_point(x.dtype()) && x.dtype() != DType::i64) return sum(x.to(DType::i64), dims, keepdim);
  const Tensor out = reduce(Reduction::sum, x, dims, keepdim);
  return autograd::record("sum", out, {x},
                          [from = x.shape(), kept = reduced_shape(x, dims, true)](const Tensor& g, Needs) {
                            return Gradients{expand(reshape(g, kept), from)};
                          });
}

Tensor sum(const Tensor& x) { return sum(x, all_dims(x)); }

Tensor mean(const Tensor& x, const Shape& given, bool keepdim) {
  check_floating_point("mean", x);
  const Shape dims = normalized("mean", x, given);
  const Tensor total = sum(x, dims, keepdim);
  return total * (static_cast<double>(total.numel()) / static_cast<double>(x.numel()));
}

Tensor mean(const Tensor& x) { return mean(x, all_dims(x)); }

Tensor amax(const Tensor& x, const Shape& dims, bool keepdim) {
  return extremum(Reduction::max, "amax", x, dims, keepdim);
}

Tensor amax(const Tensor& x) { return amax(x, all_dims(x)); }

Tensor amin(const Tensor& x, const Shape& dims, bool keepdim) {
  return extremum(Reduction::min, "amin", x, dims, keepdim);
}

Tensor amin(const Tensor& x) { return amin(x, all_dims(x)); }

Tensor var(const Tensor& x, const Shape& given, int correction, bool keepdim) {
  check_floating_point("var", x);
  const Shape dims = normalized("var", x, given);
  const Tensor squares = sum(square(x - mean(x, dims, true)), dims, keepdim);
  const double n = static_cast<double>(x.numel()) / static_cast<double>(squares.numel());
  return squares / (n - correction);
}

Tensor argmax(const Tensor& x, std::int64_t dim, bool keepdim) {
  const Shape dims{normalize_dim("argmax", dim, x.rank())};
  if (x.numel() == 0)
    throw ShapeError(fmt::format("argmax: {} has no elements to choose from", x.shape().str()));
  const Blocks blocks(x, dims);
  Tensor out = empty(reduced_shape(x, dims, keepdim), {DType::i64, x.device()});
  kernels::launch<kernels::ArgMax>(x.device(), x.dtype(), blocks.dense.raw_data(), out.data<std::int64_t>(),
                                   blocks.outer, blocks.n, blocks.inner);
  return out;
}

bool all(const Tensor& x) { return sum(ne(x, 0)).item<std::int64_t>() == x.numel(); }

bool any(const Tensor& x) { return sum(ne(x, 0)).item<std::int64_t>() != 0; }

Tensor sum_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  if (broadcast_shapes("sum_to", x.shape(), shape) != x.shape()) {
    throw ShapeError(fmt::format("sum_to: {} does not broadcast to {}", shape.str(), x.shape().str()));
  }
  const int shift = x.rank() - shape.rank();
  Shape dims;
  for (int i = 0; i < x.rank(); ++i) {
    if (i < shift || (shape[i - shift] == 1 && x.shape()[i] != 1)) dims.push_back(i);
  }
  return reshape(sum(x, dims, true), shape);
}

}  // namespace tutti
