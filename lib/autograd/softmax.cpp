#include "tutti/autograd/softmax.h"

#include "autograd/optional.h"
#include "autograd/softmax_rows.h"
#include "kernels/softmax.h"
#include "tensor/checks.h"
#include "tutti/autograd/node.h"
#include "tutti/autograd/shape.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace autograd {

Tensor softmax_rows(const Tensor& given, bool logarithm, std::int64_t causal_rows) {
  const Tensor x = autograd::dense(given);
  Tensor y = empty_like(x);
  const std::int64_t columns = x.size(-1);
  if (x.numel() != 0) {
    kernels::launch<kernels::Softmax>(x.device(), x.dtype(), logarithm, x.raw_data(), y.raw_data(),
                                      x.numel() / columns, columns, causal_rows);
  }
  return record(logarithm ? "log_softmax" : "softmax", y, {given},
                [logarithm, s = Saved(y)](const Tensor& gradient, Needs) {
                  const Tensor g = autograd::dense(gradient);
                  Tensor out = empty_like(g);
                  const std::int64_t n = g.size(-1);
                  if (g.numel() != 0) {
                    kernels::launch<kernels::SoftmaxGrad>(g.device(), g.dtype(), logarithm, g.raw_data(),
                                                          s->raw_data(), out.raw_data(), g.numel() / n, n);
                  }
                  return Gradients{out};
                });
}

}  // namespace autograd

namespace {

Tensor softmax_along(const char* name, const Tensor& x, std::int64_t dim, bool logarithm) {
  check_floating_point(name, x);
  if (size_of(x.dtype()) == 2 && x.device().is_cpu()) {
    return to(softmax_along(name, to(x, DType::f32), dim, logarithm), x.dtype());
  }
  const int d = normalize_dim(name, dim, x.rank());
  if (d == x.rank() - 1) return autograd::softmax_rows(x, logarithm, 0);
  return transpose(autograd::softmax_rows(transpose(x, d, -1), logarithm, 0), d, -1);
}

}  // namespace

Tensor softmax(const Tensor& x, std::int64_t dim) { return softmax_along("softmax", x, dim, false); }

Tensor log_softmax(const Tensor& x, std::int64_t dim) { return softmax_along("log_softmax", x, dim, true); }

}  // namespace tutti
