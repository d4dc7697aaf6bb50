#include "tutti/autograd/norm.h"

#include <fmt/format.h>

#include "kernels/norm.h"
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

void check_parameter(const char* op, const char* which, const Tensor& x, const Tensor& parameter) {
  if (!parameter.defined()) return;
  check_alike(op, x, parameter);
  if (parameter.shape() != Shape{x.size(-1)}) {
    throw ShapeError(fmt::format("{}: for x {} the {} must be [{}], it is {}", op, x.shape().str(), which,
                                 x.size(-1), parameter.shape().str()));
  }
}

Tensor dense(const Tensor& x) { return x.defined() ? contiguous(x.detach()) : x; }

const void* address(const Tensor& x) { return x.defined() ? x.raw_data() : nullptr; }

Tensor norm(const char* op, bool root_mean_square, const Tensor& x, const Tensor& weight, const Tensor& bias,
            double eps) {
  check_floating_point(op, x);
  if (x.rank() == 0) throw ShapeError(fmt::format("{}: a number has no rows", op));
  check_parameter(op, "weight", x, weight);
  check_parameter(op, "bias", x, bias);
  if (size_of(x.dtype()) == 2) {
    const auto wide = [](const Tensor& t) { return t.defined() ? to(t, DType::f32) : t; };
    return to(norm(op, root_mean_square, wide(x), wide(weight), wide(bias), eps), x.dtype());
  }
  const Tensor from = dense(x), scale = dense(weight), shift = dense(bias);
  const std::int64_t columns = x.size(-1);
  const std::int64_t rows = columns == 0 ? 0 : x.numel() / columns;
  const TensorOptions options{x.dtype(), x.device()};
  Tensor out = empty(x.shape(), options);
  const Tensor mean = empty({rows}, options), rstd = empty({rows}, options);
  kernels::launch<kernels::Norm>(x.device(), x.dtype(), root_mean_square, from.raw_data(), address(scale),
                                 address(shift), eps, out.raw_data(), mean.raw_data(), rstd.raw_data(), rows,
                                 columns);
  return autograd::record(op, out, {x, weight, bias},
                          [root_mean_square, rows, columns, s = Saved(from), w = Saved(scale),
                           m = Saved(mean), r = Saved(rstd)](const Tensor& gradient, Needs needs) {
                            const Tensor g = contiguous(gradient);
                            const TensorOptions like{g.dtype(), g.device()};
                            Gradients result(3);
                            if (needs[0]) result[0] = empty(g.shape(), like);
                            for (std::size_t i : {1, 2}) {
                              if (needs[i]) result[i] = empty({columns}, like);
                            }
                            kernels::launch<kernels::NormGrad>(
                                g.device(), g.dtype(), root_mean_square, g.raw_data(), s->raw_data(),
                                address(*w), m->raw_data(), r->raw_data(),
                                const_cast<void*>(address(result[0])), const_cast<void*>(address(result[1])),
                                const_cast<void*>(address(result[2])), rows, columns);
                            return result;
                          });
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  return norm("layer_norm", false, x, weight, bias, eps);
}

Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps) {
  return norm("rms_norm", true, x, weight, {}, eps);
}

}  // namespace tutti
