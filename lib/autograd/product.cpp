#include "autograd/product.h"

#include "autograd/optional.h"

#include <algorithm>

#include "autograd/optional.h"
#include "tensor/checks.h"
#include "tutti/autograd/float32_matmul.h"
#include "tutti/autograd/reduce.h"
#include "tutti/autograd/shape.h"
#include "tutti/tensor/creation.h"

namespace tutti::autograd {
namespace {

using kernels::MatmulArgs;
using kernels::MatmulEpilogue;

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
    // A copy lies as the original does: how it lies may decide on the order of sums.
    tensor = transposed ? autograd::aligned(tensor.transpose(row, column)).transpose(row, column)
                        : autograd::aligned(tensor);
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

bool is_tf32(const Tensor& a) {
  return a.dtype() == DType::f32 && float32_matmul_precision() == Float32Precision::tf32;
}

// a b, plus `bias` if there is one. Both are at least matrices, on a CPU of f32 or f64. The innermost batch
// dimension is one call of the kernel.
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
        MatmulArgs{a.dtype(), inner_size, m, n, k, at(left.tensor, a_offset), left.ld,
                   inner < 0 ? 0 : a_strides[inner], left.transposed, at(right.tensor, b_offset), right.ld,
                   inner < 0 ? 0 : b_strides[inner], right.transposed, at(out, i * inner_size * m * n), n,
                   m * n, bias.defined() ? 1.0 : 0.0, is_tf32(a)});
  }
  return out;
}

}  // namespace

bool has_fast_products(const Tensor& x) {
  return x.device().is_cuda() && (size_of(x.dtype()) == 2 || is_tf32(x));
}

bool fused(const Tensor& a, const Tensor& b, const Tensor& out, const MatmulEpilogue& epilogue) {
  if (a.device().is_cpu()) return false;
  const Factor left(a), right(b);
  const std::int64_t m = a.size(0), n = b.size(1);
  return kernels::launch<kernels::FusedMatmul>(
      a.device(),
      MatmulArgs{a.dtype(), 1, m, n, a.size(1), left.tensor.raw_data(), left.ld, 0, left.transposed,
                 right.tensor.raw_data(), right.ld, 0, right.transposed, out.raw_data(), n, m * n, 0,
                 is_tf32(a)},
      epilogue);
}

Tensor rows_of(const Tensor& x) { return x.reshape({-1, x.size(-1)}); }

Tensor multiply(const Tensor& a, const Tensor& b, const Tensor& bias) {
  const bool on_cpu = a.device().is_cpu();
  if (on_cpu && size_of(a.dtype()) == 2) {
    const Tensor wide_bias = bias.defined() ? bias.to(DType::f32) : bias;
    return multiply(a.to(DType::f32), b.to(DType::f32), wide_bias).to(a.dtype());
  }
  if (a.rank() > 2 && b.rank() == 2 && (a.is_contiguous() || !on_cpu) && a.numel() != 0) {
    Shape shape = a.shape();
    shape[shape.rank() - 1] = b.size(-1);
    return multiply(rows_of(a), b, bias).reshape(shape);
  }
  if (bias.defined() && a.rank() == 2 && !on_cpu) {
    const Tensor out = empty({a.size(0), b.size(1)}, {a.dtype(), a.device()});
    if (fused(a, b, out, {.kind = MatmulEpilogue::Kind::bias, .bias = dense(bias).raw_data()})) return out;
  }
  return product(a, b, bias);
}

Tensor transposed_product(const Tensor& a, const Tensor& g) {
  return multiply(rows_of(a).transpose(0, 1), rows_of(g));
}

LinearGradients linear_gradients(const Tensor& g, const Tensor& x, const Tensor& weight,
                                 const LinearNeeds& needs) {
  LinearGradients gradients;
  if (needs.x) gradients.x = multiply(g, weight);
  const Shape bias_shape{weight.size(0)};
  if (needs.weight) {
    if (g.numel() == 0 || x.numel() == 0) {
      gradients.weight = zeros_like(weight);
    } else if (needs.bias && g.device().is_cuda() && size_of(g.dtype()) == 2) {
      // The sums of g^T's rows, which its product has at hand.
      const Tensor out = empty(weight.shape(), {g.dtype(), g.device()});
      const Tensor sums = empty(bias_shape, {g.dtype(), g.device()});
      if (fused(rows_of(g).transpose(0, 1), rows_of(x), out,
                {.kind = MatmulEpilogue::Kind::row_sums, .row_sums = sums.raw_data()})) {
        gradients.weight = out;
        gradients.bias = sums;
      }
    }
    if (!gradients.weight.defined()) gradients.weight = transposed_product(g, x);
  }
  if (needs.bias && !gradients.bias.defined()) gradients.bias = sum_to(g, bias_shape);
  return gradients;
}

}  // namespace tutti::autograd
