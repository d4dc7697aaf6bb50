#include "tutti/autograd/matmul.h"

#include <fmt/format.h>

#include <algorithm>

#include "autograd/mixed.h"
#include "kernels/matmul.h"
#include "tensor/checks.h"
#include "tutti/autograd/node.h"
#include "tutti/autograd/reduce.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using autograd::Gradients;
using autograd::Needs;
using autograd::Saved;

// The last two dimensions of a tensor as a product takes them: rows, or columns, lie densely.
struct Factor {
  Tensor tensor;
  bool transposed;
  std::int64_t ld;

  explicit Factor(const Tensor& x) : tensor(x.detach()) {
    const auto fits = [this](int dense, int apart) {
      const std::int64_t size = tensor.shape()[dense];
      return (size <= 1 || tensor.strides()[dense] == 1) &&
             (tensor.shape()[apart] <= 1 || tensor.strides()[apart] >= size);
    };
    const int row = x.rank() - 2;
    const int column = x.rank() - 1;
    transposed = !fits(column, row) && fits(row, column);
    if (!transposed && !fits(column, row)) tensor = tutti::contiguous(tensor);
    const int dense = transposed ? row : column;
    const int apart = transposed ? column : row;
    ld = std::max<std::int64_t>(tensor.shape()[apart] > 1 ? tensor.strides()[apart] : 0,
                                std::max<std::int64_t>(tensor.shape()[dense], 1));
  }
};

// Sizes or strides without those of the matrix.
Shape batch_of(Shape all) {
  all.erase(all.rank() - 1);
  all.erase(all.rank() - 1);
  return all;
}

void check_product(const Tensor& a, const Tensor& b) {
  check_floating_point("matmul", a);
  check_alike("matmul", a, b);
  if (a.rank() == 0 || b.rank() == 0) {
    throw ShapeError(fmt::format("matmul: a number is no matrix: {} x {}", a.shape().str(), b.shape().str()));
  }
  if (a.size(-1) != b.size(b.rank() == 1 ? 0 : -2)) {
    throw ShapeError(fmt::format("matmul: inner sizes differ: {} x {}", a.shape().str(), b.shape().str()));
  }
}

// a b, plus `bias` if there is one. Both are at least matrices, of f32 or f64. The innermost batch dimension
// is one call of the kernel.
Tensor product(const Tensor& a, const Tensor& b, const Tensor& bias) {
  const Shape batch = broadcast_shapes("matmul", batch_of(a.shape()), batch_of(b.shape()));
  const std::int64_t m = a.size(-2), n = b.size(-1), k = a.size(-1);
  Shape shape = batch;
  shape.push_back(m);
  shape.push_back(n);
  Tensor out = empty(shape, {a.dtype(), a.device()});
  if (out.numel() == 0) return out;
  if (bias.defined()) out.copy_(bias);
  const Factor left(a), right(b);
  const auto batch_strides = [&batch](const Tensor& x) {
    return broadcast_strides(x.as_strided(batch_of(x.shape()), batch_of(x.strides()), 0), batch);
  };
  const Shape a_strides = batch_strides(left.tensor), b_strides = batch_strides(right.tensor);
  const int inner = batch.rank() - 1;
  const std::int64_t inner_size = inner < 0 ? 1 : batch[inner];
  const std::int64_t outer_size = batch.numel() / inner_size;
  const auto element = size_of(a.dtype());
  const auto at = [element](const Tensor& x, std::int64_t offset) {
    return static_cast<std::byte*>(x.raw_data()) + static_cast<std::size_t>(offset) * element;
  };
  for (std::int64_t i = 0; i < outer_size; ++i) {
    std::int64_t rest = i, a_offset = 0, b_offset = 0;
    for (int d = inner - 1; d >= 0; rest /= batch[d--]) {
      a_offset += rest % batch[d] * a_strides[d];
      b_offset += rest % batch[d] * b_strides[d];
    }
    kernels::launch<kernels::Matmul>(
        a.device(),
        kernels::MatmulArgs{a.dtype(), inner_size, m, n, k, at(left.tensor, a_offset), left.ld,
                            inner < 0 ? 0 : a_strides[inner], left.transposed, at(right.tensor, b_offset),
                            right.ld, inner < 0 ? 0 : b_strides[inner], right.transposed,
                            at(out, i * inner_size * m * n), n, m * n, bias.defined() ? 1.0 : 0.0});
  }
  return out;
}

// bf16 and f16 by way of f32, rounded once; a batch of dense rows times one matrix is one product.
Tensor multiply(const Tensor& a, const Tensor& b, const Tensor& bias = {}) {
  if (size_of(a.dtype()) == 2) {
    const Tensor wide_bias = bias.defined() ? bias.to(DType::f32) : bias;
    return multiply(a.to(DType::f32), b.to(DType::f32), wide_bias).to(a.dtype());
  }
  if (a.rank() > 2 && b.rank() == 2 && a.is_contiguous() && a.numel() != 0) {
    Shape shape = a.shape();
    shape[shape.rank() - 1] = b.size(-1);
    return product(a.reshape({-1, a.size(-1)}), b, bias).reshape(shape);
  }
  return product(a, b, bias);
}

// Sum over the batch of a^T g, for dense a [.., m, k] and g [.., m, n]: one product of all rows.
Tensor transposed_product(const Tensor& a, const Tensor& g) {
  return multiply(a.reshape({-1, a.size(-1)}).transpose(0, 1), g.reshape({-1, g.size(-1)}));
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  if (const auto dtype = autograd::product_dtype({&a, &b})) return matmul(to(a, *dtype), to(b, *dtype));
  check_product(a, b);
  if (a.rank() == 1) return squeeze(matmul(unsqueeze(a, 0), b), b.rank() == 1 ? 0 : -2);
  if (b.rank() == 1) return squeeze(matmul(a, unsqueeze(b, 1)), -1);
  return autograd::record("matmul", multiply(a.detach(), b.detach()), {a, b},
                          [x = Saved(a), y = Saved(b)](const Tensor& g, Needs needs) {
                            Gradients gradients(2);
                            if (needs[0])
                              gradients[0] = sum_to(multiply(g, y->transpose(-1, -2)), x->shape());
                            if (needs[1] && y->rank() == 2 && g.numel() != 0 && x->numel() != 0) {
                              gradients[1] = transposed_product(*x, g);
                            } else if (needs[1]) {
                              gradients[1] = sum_to(multiply(x->transpose(-1, -2), g), y->shape());
                            }
                            return gradients;
                          });
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  if (weight.rank() != 2 || x.rank() == 0 || x.size(-1) != weight.size(1)) {
    throw ShapeError(fmt::format("linear: x [..., in] needs a weight [out, in], got {} and {}",
                                 x.shape().str(), weight.shape().str()));
  }
  if (bias.defined() && bias.shape() != Shape{weight.size(0)}) {
    throw ShapeError(
        fmt::format("linear: the bias must be [{}], it is {}", weight.size(0), bias.shape().str()));
  }
  if (const auto dtype = autograd::product_dtype({&x, &weight, &bias})) {
    return linear(to(x, *dtype), to(weight, *dtype), autograd::converted(bias, *dtype));
  }
  check_floating_point("linear", x);
  check_alike("linear", x, weight);
  if (!bias.defined()) return matmul(x, weight.transpose(0, 1));
  check_alike("linear", x, bias);
  if (x.rank() == 1) return squeeze(linear(unsqueeze(x, 0), weight, bias), 0);
  const Tensor out = multiply(x.detach(), weight.detach().transpose(0, 1), bias.detach());
  return autograd::record(
      "linear", out, {x, weight, bias},
      [x = Saved(x), w = Saved(weight), shape = bias.shape()](const Tensor& g, Needs needs) {
        Gradients gradients(3);
        if (needs[0]) gradients[0] = multiply(g, *w);
        if (needs[1]) {
          const bool none = g.numel() == 0 || x->numel() == 0;
          gradients[1] = none ? zeros_like(*w) : transposed_product(g, *x);
        }
        if (needs[2]) gradients[2] = sum_to(g, shape);
        return gradients;
      });
}

}  // namespace tutti
