#include "tutti/autograd/attention.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "autograd/mixed.h"
#include "autograd/optional.h"
#include "autograd/softmax_rows.h"
#include "kernels/attention.h"
#include "tensor/checks.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/matmul.h"
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

Shape batch_of(const Shape& all) { return Shape(std::span(all.begin(), all.end() - 2)); }

Shape with_batch(Shape batch, std::int64_t rows, std::int64_t columns) {
  batch.push_back(rows);
  batch.push_back(columns);
  return batch;
}

// A tensor of matrices, broadcast to `batch`, as the kernel takes them.
class Heads {
 public:
  Heads(const Tensor& x, const Shape& batch) : tensor_(autograd::aligned(x.detach())) {
    const int column = x.rank() - 1, row = column - 1;
    const Shape& given = tensor_.strides();
    if (given[column] != 1 || given[row] < x.size(-1)) tensor_ = contiguous(tensor_);
    const Shape strides = broadcast_strides(
        tensor_.as_strided(batch_of(x.shape()), batch_of(tensor_.strides()), tensor_.offset()), batch);
    matrices_ = {tensor_.raw_data(), tensor_.strides()[row], {}};
    std::copy(strides.begin(), strides.end(), matrices_.strides);
  }
  operator const kernels::HeadMatrices&() const { return matrices_; }

 private:
  Tensor tensor_;
  kernels::HeadMatrices matrices_{};
};

// [batch..., rows, columns], where a row of the last head lies behind that of the one before: heads that are then joined
// into one width need no copy.
Tensor heads_within_rows(const Shape& batch, std::int64_t rows, std::int64_t columns,
                         const TensorOptions& options) {
  if (batch.rank() == 0) return empty({rows, columns}, options);
  Shape shape = with_batch(batch, rows, columns);
  std::swap(shape[shape.rank() - 3], shape[shape.rank() - 2]);
  return transpose(empty(shape, options), -3, -2);
}

bool lie_in_one(const Tensor& a, const Tensor& b) {
  return a.storage() == b.storage() && a.shape() == b.shape() && a.strides() == b.strides();
}

// What becomes the gradients of q, k and v. Of parts of one projection they lie side by side: `split` has nothing to join.
std::array<Tensor, 3> empty_gradients(const Tensor& q, const Tensor& k, const Tensor& v, const Shape& batch) {
  const TensorOptions options{q.dtype(), q.device()};
  const bool in_one =
      batch.rank() > 0 && batch_of(q.shape()) == batch && lie_in_one(q, k) && lie_in_one(q, v);
  // A GPU takes aligned operands alone: for a part that is not, it would write to an aligned copy.
  const auto bytes_of_part =
      in_one ? static_cast<std::size_t>(q.size(-3) * q.size(-1)) * size_of(q.dtype()) : 0;
  if (!in_one || bytes_of_part % 16 != 0) {
    const auto like = [&](const Tensor& x) {
      return heads_within_rows(batch, x.size(-2), x.size(-1), options);
    };
    return {like(q), like(k), like(v)};
  }
  const std::int64_t heads = q.size(-3);
  Shape three = batch;
  three[three.rank() - 1] = 3 * heads;
  const Tensor all = heads_within_rows(three, q.size(-2), q.size(-1), options);
  const auto part = [&](std::int64_t i) { return all.slice(-3, i * heads, (i + 1) * heads); };
  return {part(0), part(1), part(2)};
}

Tensor fused(const Tensor& q, const Tensor& k, const Tensor& v, const Shape& batch, bool causal,
             double scale) {
  const TensorOptions options{q.dtype(), q.device()};
  kernels::HeadBatch dimensions{batch.rank(), {}};
  std::copy(batch.begin(), batch.end(), dimensions.sizes);
  const auto arguments = [=](const Heads& a, const Heads& b, const Heads& c, const Tensor& x, const Tensor& y,
                             const Tensor& z) {
    return kernels::AttentionArgs{x.dtype(), batch.numel(), x.size(-2), y.size(-2), x.size(-1), z.size(-1),
                                  causal,    scale,         dimensions, a,          b,          c};
  };
  Tensor out = heads_within_rows(batch, q.size(-2), v.size(-1), options);
  const DType sums_dtype = size_of(q.dtype()) == 2 ? DType::f32 : q.dtype();
  const Tensor log_sums = empty({batch.numel(), q.size(-2)}, {sums_dtype, q.device()});
  kernels::launch<kernels::Attention>(q.device(),
                                      arguments(Heads(q, batch), Heads(k, batch), Heads(v, batch), q, k, v),
                                      Heads(out, batch), log_sums.raw_data());
  return autograd::record("attention", out, {q, k, v},
                          [=, q = Saved(q), k = Saved(k), v = Saved(v), y = Saved(out),
                           sums = Saved(log_sums)](const Tensor& g, Needs needs) {
                            const auto [dq, dk, dv] = empty_gradients(*q, *k, *v, batch);
                            kernels::launch<kernels::AttentionGrad>(
                                g.device(),
                                arguments(Heads(*q, batch), Heads(*k, batch), Heads(*v, batch), *q, *k, *v),
                                Heads(*y, batch), sums->raw_data(), Heads(g, batch), Heads(dq, batch),
                                Heads(dk, batch), Heads(dv, batch));
                            return Gradients{needs[0] ? sum_to(dq, q->shape()) : Tensor(),
                                             needs[1] ? sum_to(dk, k->shape()) : Tensor(),
                                             needs[2] ? sum_to(dv, v->shape()) : Tensor()};
                          });
}

}  // namespace

Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const AttentionOptions& options) {
  if (q.rank() < 2 || k.rank() < 2 || v.rank() < 2 || q.size(-1) != k.size(-1) || k.size(-2) != v.size(-2)) {
    throw ShapeError(
        fmt::format("attention: q [..., t, d], k [..., s, d], v [..., s, e] are needed, got {}, {}, {}",
                    q.shape().str(), k.shape().str(), v.shape().str()));
  }
  const Shape batch =
      broadcast_shapes("attention", broadcast_shapes("attention", batch_of(q.shape()), batch_of(k.shape())),
                       batch_of(v.shape()));
  if (const auto dtype = autograd::product_dtype({&q, &k, &v})) {
    return scaled_dot_product_attention(to(q, *dtype), to(k, *dtype), to(v, *dtype), options);
  }
  const Autocast no_autocast(std::nullopt);  // products within are in f32
  check_floating_point("attention", q);
  check_alike("attention", q, k);
  check_alike("attention", q, v);
  const bool empty = q.numel() == 0 || k.numel() == 0 || v.numel() == 0 || batch.numel() == 0;
  const bool narrow = std::max(q.size(-1), v.size(-1)) <= kernels::AttentionArgs::most_cuda_width;
  const bool is_fused = !empty && (q.device().is_cpu() || narrow);
  if (size_of(q.dtype()) == 2 && !(is_fused && q.device().is_cuda())) {
    return to(scaled_dot_product_attention(to(q, DType::f32), to(k, DType::f32), to(v, DType::f32), options),
              q.dtype());
  }
  const double scale = options.scale != 0 ? options.scale : 1 / std::sqrt(static_cast<double>(q.size(-1)));
  if (is_fused) return fused(q, k, v, batch, options.causal, scale);
  const Tensor scores = matmul(q * scale, transpose(k, -1, -2));
  return matmul(autograd::softmax_rows(scores, false, options.causal ? q.size(-2) : 0), v);
}

}  // namespace tutti
