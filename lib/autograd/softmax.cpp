#include "tutti/autograd/softmax.h"

#include <fmt/format.h>

#include <cmath>

#include "autograd/mixed.h"
#include "kernels/softmax.h"
#include "tensor/checks.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/matmul.h"
#include "tutti/autograd/node.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using autograd::Gradients;
using autograd::Needs;
using autograd::Saved;

// Along the last dimension, in f32 or f64.
Tensor softmax_rows(const Tensor& given, bool logarithm, std::int64_t causal_rows) {
  const Tensor x = contiguous(given.detach());
  Tensor y = empty_like(x);
  const std::int64_t columns = x.size(-1);
  if (x.numel() != 0) {
    kernels::launch<kernels::Softmax>(x.device(), x.dtype(), logarithm, x.raw_data(), y.raw_data(),
                                      x.numel() / columns, columns, causal_rows);
  }
  return autograd::record(logarithm ? "log_softmax" : "softmax", y, {given},
                          [logarithm, s = Saved(y)](const Tensor& gradient, Needs) {
                            const Tensor g = contiguous(gradient);
                            Tensor out = empty_like(g);
                            const std::int64_t n = g.size(-1);
                            if (g.numel() != 0) {
                              kernels::launch<kernels::SoftmaxGrad>(g.device(), g.dtype(), logarithm,
                                                                    g.raw_data(), s->raw_data(),
                                                                    out.raw_data(), g.numel() / n, n);
                            }
                            return Gradients{out};
                          });
}

Tensor softmax_along(const char* name, const Tensor& x, std::int64_t dim, bool logarithm) {
  check_floating_point(name, x);
  if (size_of(x.dtype()) == 2) return to(softmax_along(name, to(x, DType::f32), dim, logarithm), x.dtype());
  const int d = normalize_dim(name, dim, x.rank());
  if (d == x.rank() - 1) return softmax_rows(x, logarithm, 0);
  return transpose(softmax_rows(transpose(x, d, -1), logarithm, 0), d, -1);
}

}  // namespace

Tensor softmax(const Tensor& x, std::int64_t dim) { return softmax_along("softmax", x, dim, false); }

Tensor log_softmax(const Tensor& x, std::int64_t dim) { return softmax_along("log_softmax", x, dim, true); }

Tensor scaled_dot_product_attention(const Tensor& q, const Tensor& k, const Tensor& v,
                                    const AttentionOptions& options) {
  if (q.rank() < 2 || k.rank() < 2 || v.rank() < 2 || q.size(-1) != k.size(-1) || k.size(-2) != v.size(-2)) {
    throw ShapeError(
        fmt::format("attention: q [..., t, d], k [..., s, d], v [..., s, e] are needed, got {}, {}, {}",
                    q.shape().str(), k.shape().str(), v.shape().str()));
  }
  const auto batch = [](const Tensor& x) { return Shape(std::span(x.shape().begin(), x.shape().end() - 2)); };
  broadcast_shapes("attention", broadcast_shapes("attention", batch(q), batch(k)), batch(v));
  if (const auto dtype = autograd::product_dtype({&q, &k, &v})) {
    return scaled_dot_product_attention(to(q, *dtype), to(k, *dtype), to(v, *dtype), options);
  }
  const Autocast no_autocast(std::nullopt);  // products within are in f32
  check_floating_point("attention", q);
  check_alike("attention", q, k);
  check_alike("attention", q, v);
  if (size_of(q.dtype()) == 2) {
    return to(scaled_dot_product_attention(to(q, DType::f32), to(k, DType::f32), to(v, DType::f32), options),
              q.dtype());
  }
  const double scale = options.scale != 0 ? options.scale : 1 / std::sqrt(static_cast<double>(q.size(-1)));
  const Tensor scores = matmul(q * scale, transpose(k, -1, -2));
  return matmul(softmax_rows(scores, false, options.causal ? q.size(-2) : 0), v);
}

}  // namespace tutti
