// Views, and copies that rearrange.
#include "tutti/autograd/shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "tutti/autograd/node.h"
#include "tutti/autograd/reduce.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using autograd::Gradients;
using autograd::Needs;
using autograd::record;

template <typename F>
Tensor record_view(const char* name, const Tensor& out, const Tensor& x, F gradient) {
  return record(name, out, {x},
                [f = std::move(gradient)](const Tensor& g, Needs) { return Gradients{f(g)}; });
}

// `shape` with its -1 replaced.
Shape infer(const Tensor& x, const Shape& wanted) {
  Shape shape = wanted;
  const int unknown = static_cast<int>(std::find(shape.begin(), shape.end(), -1) - shape.begin());
  if (unknown < shape.rank()) {
    shape[unknown] = 1;
    const std::int64_t known = shape.numel();
    shape[unknown] = known > 0 ? x.numel() / known : -1;
  }
  if (shape.numel() != x.numel() ||
      std::any_of(shape.begin(), shape.end(), [](auto size) { return size < 0; })) {
    throw ShapeError(fmt::format("reshape: {} has {} elements, they do not fill {}", x.shape().str(),
                                 x.numel(), wanted.str()));
  }
  return shape;
}

// Strides under which `x` can be seen as `shape` without a copy.
std::optional<Shape> view_strides(const Tensor& x, const Shape& shape) {
  if (x.is_contiguous()) return contiguous_strides(shape);
  Shape strides = Shape::filled(shape.rank(), 0);
  int j = shape.rank() - 1;
  for (int i = x.rank() - 1; i >= 0;) {
    // A group of dimensions of x that lie densely behind each other, to be cut anew.
    std::int64_t size = x.shape()[i];
    const std::int64_t innermost = x.strides()[i];
    while (i > 0 && x.strides()[i - 1] == x.strides()[i] * x.shape()[i]) size *= x.shape()[--i];
    --i;
    std::int64_t covered = 1;
    while (j >= 0 && (covered < size || shape[j] == 1)) {
      strides[j] = innermost * covered;
      covered *= shape[j--];
    }
    if (covered != size) return std::nullopt;
  }
  return strides;
}

Shape swapped(Shape shape, int a, int b) {
  std::swap(shape[a], shape[b]);
  return shape;
}

// The region of a dense gradient of `shape` that `view` was, filled with `g`; zero elsewhere.
Tensor embed(const Tensor& g, const Shape& shape, int dim, std::int64_t start, std::int64_t step) {
  Tensor whole = zeros(shape, {g.dtype(), g.device()});
  whole.slice(dim, start, start + (g.shape()[dim] - 1) * step + 1, step).copy_(g);
  return whole;
}

}  // namespace

Tensor reshape(const Tensor& x, const Shape& wanted) {
  const Shape shape = infer(x, wanted);
  const auto strides = view_strides(x, shape);
  if (!strides) return reshape(clone(x), shape);
  return record_view("reshape", x.as_strided(shape, *strides, x.offset()), x,
                     [from = x.shape()](const Tensor& g) { return reshape(g, from); });
}

Tensor transpose(const Tensor& x, std::int64_t dim0, std::int64_t dim1) {
  const int a = normalize_dim("transpose", dim0, x.rank());
  const int b = normalize_dim("transpose", dim1, x.rank());
  return record_view("transpose",
                     x.as_strided(swapped(x.shape(), a, b), swapped(x.strides(), a, b), x.offset()), x,
                     [a, b](const Tensor& g) { return transpose(g, a, b); });
}

Tensor permute(const Tensor& x, const Shape& dims) {
  if (dims.rank() != x.rank()) {
    throw ShapeError(
        fmt::format("permute: {} does not name each dimension of {} once", dims.str(), x.shape().str()));
  }
  Shape shape, strides, inverse = Shape::filled(dims.rank(), -1);
  for (int i = 0; i < dims.rank(); ++i) {
    const int dim = normalize_dim("permute", dims[i], x.rank());
    if (inverse[dim] != -1)
      throw ShapeError(fmt::format("permute: dimension {} appears twice in {}", dim, dims.str()));
    inverse[dim] = i;
    shape.push_back(x.shape()[dim]);
    strides.push_back(x.strides()[dim]);
  }
  return record_view("permute", x.as_strided(shape, strides, x.offset()), x,
                     [inverse](const Tensor& g) { return permute(g, inverse); });
}

Tensor expand(const Tensor& x, const Shape& wanted) {
  Shape shape = wanted;
  Shape strides = Shape::filled(shape.rank(), 0);
  const int shift = shape.rank() - x.rank();
  for (int i = 0; i < shape.rank(); ++i) {
    const std::int64_t size = i < shift ? 1 : x.shape()[i - shift];
    if (shape[i] == -1 && i >= shift) shape[i] = size;
    if (shift < 0 || shape[i] < 0 || (size != 1 && size != shape[i])) {
      throw ShapeError(fmt::format("expand: {} does not expand to {}", x.shape().str(), wanted.str()));
    }
    if (i >= shift && size == shape[i]) strides[i] = x.strides()[i - shift];
  }
  if (shift < 0)
    throw ShapeError(fmt::format("expand: {} does not expand to {}", x.shape().str(), wanted.str()));
  return record_view("expand", x.as_strided(shape, strides, x.offset()), x,
                     [from = x.shape()](const Tensor& g) { return sum_to(g, from); });
}

Tensor slice(const Tensor& x, std::int64_t dim, std::int64_t start, std::int64_t end, std::int64_t step) {
  const int d = normalize_dim("slice", dim, x.rank());
  if (step < 1) throw ShapeError(fmt::format("slice: the step must be at least 1, got {}", step));
  const std::int64_t size = x.shape()[d];
  const auto clip = [size](std::int64_t i) {
    return std::clamp<std::int64_t>(i < 0 ? i + size : i, 0, size);
  };
  const std::int64_t first = clip(start);
  const std::int64_t last = std::max(first, clip(end));
  step = std::min(step, size + 1);  // as good as any longer one, and no overflow
  Shape shape = x.shape();
  Shape strides = x.strides();
  shape[d] = (last - first + step - 1) / step;
  const Tensor view = x.as_strided(
      shape,
      [&] {
        strides[d] *= step;
        return strides;
      }(),
      x.offset() + first * x.strides()[d]);
  return record_view("slice", view, x, [from = x.shape(), d, first, step](const Tensor& g) {
    return g.numel() == 0 ? zeros(from, {g.dtype(), g.device()}) : embed(g, from, d, first, step);
  });
}

Tensor select(const Tensor& x, std::int64_t dim, std::int64_t index) {
  const int d = normalize_dim("select", dim, x.rank());
  const std::int64_t size = x.shape()[d];
  if (index < -size || index >= size) {
    throw ShapeError(
        fmt::format("select: index {} is outside dimension {} of {}", index, d, x.shape().str()));
  }
  const std::int64_t first = index < 0 ? index + size : index;
  return squeeze(slice(x, d, first, first + 1), d);
}

Tensor unsqueeze(const Tensor& x, std::int64_t dim) {
  const int d = normalize_dim("unsqueeze", dim, x.rank() + 1);
  Shape shape = x.shape();
  Shape strides = x.strides();
  strides.insert(d, d < shape.rank() ? shape[d] * strides[d] : 1);
  shape.insert(d, 1);
  return record_view("unsqueeze", x.as_strided(shape, strides, x.offset()), x,
                     [d](const Tensor& g) { return squeeze(g, d); });
}

Tensor squeeze(const Tensor& x, std::int64_t dim) {
  const int d = normalize_dim("squeeze", dim, x.rank());
  if (x.shape()[d] != 1) {
    throw ShapeError(fmt::format("squeeze: dimension {} of {} is not 1", d, x.shape().str()));
  }
  Shape shape = x.shape();
  Shape strides = x.strides();
  shape.erase(d);
  strides.erase(d);
  return record_view("squeeze", x.as_strided(shape, strides, x.offset()), x,
                     [d](const Tensor& g) { return unsqueeze(g, d); });
}

Tensor flatten(const Tensor& x, std::int64_t start_dim, std::int64_t end_dim) {
  if (x.rank() == 0) return reshape(x, {1});
  const int first = normalize_dim("flatten", start_dim, x.rank());
  const int last = normalize_dim("flatten", end_dim, x.rank());
  if (first > last) throw ShapeError(fmt::format("flatten: dimension {} lies behind {}", first, last));
  Shape shape;
  for (int i = 0; i < x.rank(); ++i) {
    if (i > first && i <= last)
      shape[shape.rank() - 1] *= x.shape()[i];
    else
      shape.push_back(x.shape()[i]);
  }
  return reshape(x, shape);
}

Tensor contiguous(const Tensor& x) { return x.is_contiguous() ? x : clone(x); }

Tensor clone(const Tensor& x) {
  Tensor out = empty_like(x);
  out.copy_(x);
  return record_view("clone", out, x, [](const Tensor& g) { return g; });
}

Tensor to(const Tensor& x, DType dtype) {
  if (dtype == x.dtype()) return x;
  Tensor out = empty(x.shape(), {dtype, x.device()});
  out.copy_(x);
  if (!is_floating_point(dtype) || !is_floating_point(x.dtype())) return out;
  return record_view("to", out, x, [from = x.dtype()](const Tensor& g) { return to(g, from); });
}

Tensor to(const Tensor& x, Device device) {
  if (device == x.device()) return x;
  Tensor out = empty(x.shape(), {x.dtype(), device});
  out.copy_(x);
  return record_view("to", out, x, [from = x.device()](const Tensor& g) { return to(g, from); });
}

}  // namespace tutti
