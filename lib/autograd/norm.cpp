#include "tutti/autograd/norm.h"

#include <fmt/format.h>

#include "autograd/optional.h"
#include "kernels/norm.h"
#include "tensor/checks.h"
#include "tutti/autograd/node.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using autograd::address;
using autograd::dense;
using autograd::Gradients;
using autograd::Needs;
using autograd::Saved;
using autograd::widened;

Tensor norm(const char* op, bool root_mean_square, const Tensor& x, const Tensor& weight, const Tensor& bias,
            double eps) {
  check_floating_point(op, x);
  if (x.rank() == 0) throw ShapeError(fmt::format("{}: a number has no rows", op));
  autograd::check_parameter(op, "weight", x, x.size(-1), weight);
  autograd::check_parameter(op, "bias", x, x.size(-1), bias);
  const bool is_narrow = size_of(x.dtype()) == 2;
  if (is_narrow && x.device().is_cpu()) {
    return to(norm(op, root_mean_square, widened(x), widened(weight), widened(bias), eps), x.dtype());
  }
  // A GPU takes rows of 16 bits as they are, and parameters in f32.
  const auto is_to_be_widened = [](const Tensor& p) { return p.defined() && size_of(p.dtype()) == 2; };
  if (is_to_be_widened(weight) || is_to_be_widened(bias)) {
    return norm(op, root_mean_square, x, widened(weight), widened(bias), eps);
  }
  const Tensor from = dense(x), scale = dense(weight), shift = dense(bias);
  const std::int64_t columns = x.size(-1);
  const std::int64_t rows = columns == 0 ? 0 : x.numel() / columns;
  const TensorOptions computed{is_narrow ? DType::f32 : x.dtype(), x.device()};
  Tensor out = empty(x.shape(), {x.dtype(), x.device()});
  const Tensor mean = empty({rows}, computed), rstd = empty({rows}, computed);
  kernels::launch<kernels::Norm>(x.device(), x.dtype(), root_mean_square, from.raw_data(), address(scale),
                                 address(shift), eps, out.raw_data(), mean.raw_data(), rstd.raw_data(), rows,
                                 columns);
  return autograd::record(op, out, {x, weight, bias},
                          [root_mean_square, rows, columns, computed, s = Saved(from), w = Saved(scale),
                           m = Saved(mean), r = Saved(rstd)](const Tensor& gradient, Needs needs) {
                            const Tensor g = dense(gradient);
                            Gradients result(3);
                            if (needs[0]) result[0] = empty_like(g);
                            for (std::size_t i : {1, 2}) {
                              if (needs[i]) result[i] = empty({columns}, computed);
                            }
                            kernels::launch<kernels::NormGrad>(
                                g.device(), g.dtype(), root_mean_square, g.raw_data(), s->raw_data(),
                                address(*w), m->raw_data(), r->raw_data(), address(result[0]),
                                address(result[1]), address(result[2]), rows, columns);
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
