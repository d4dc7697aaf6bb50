#include "tutti/autograd/norm.h"

#include <fmt/format.h>

#include "autograd/mixed.h"
#include "autograd/optional.h"
#include "kernels/norm.h"
#include "tensor/checks.h"
#include "tutti/autograd/arithmetic.h"
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

void check_operands(const char* op, const Tensor& x, const Tensor& residual, const Tensor& weight,
                    const Tensor& bias) {
  check_floating_point(op, x);
  if (x.rank() == 0) throw ShapeError(fmt::format("{}: a number has no rows", op));
  if (residual.defined()) {
    check_alike(op, x, residual);
    if (residual.shape() != x.shape()) {
      throw ShapeError(fmt::format("{}: for x {} the residual must be of that shape, it is {}", op,
                                   x.shape().str(), residual.shape().str()));
    }
  }
  autograd::check_parameter(op, "weight", x, x.size(-1), weight);
  autograd::check_parameter(op, "bias", x, x.size(-1), bias);
}

AddNorm norm(const char* op, bool root_mean_square, const Tensor& x, const Tensor& residual,
             const Tensor& weight, const Tensor& bias, double eps) {
  const bool adds = residual.defined();
  if (adds && autograd::is_mixed(x, residual)) {
    return norm(op, root_mean_square, to(x, DType::f32), to(residual, DType::f32), weight, bias, eps);
  }
  check_operands(op, x, residual, weight, bias);
  const bool is_narrow = size_of(x.dtype()) == 2;
  if (is_narrow && x.device().is_cpu()) {
    const Tensor sum = adds ? x + residual : x;
    const Tensor normed =
        norm(op, root_mean_square, widened(sum), {}, widened(weight), widened(bias), eps).normed;
    return {sum, to(normed, x.dtype())};
  }
  // A GPU takes rows of 16 bits as they are, and parameters in f32.
  const auto is_to_be_widened = [](const Tensor& p) { return p.defined() && size_of(p.dtype()) == 2; };
  if (is_to_be_widened(weight) || is_to_be_widened(bias)) {
    return norm(op, root_mean_square, x, residual, widened(weight), widened(bias), eps);
  }
  const Tensor from = dense(x), addend = dense(residual), scale = dense(weight), shift = dense(bias);
  const std::int64_t columns = x.size(-1);
  const std::int64_t rows = columns == 0 ? 0 : x.numel() / columns;
  const kernels::NormRows sizes{x.dtype(), root_mean_square, rows, columns};
  const TensorOptions computed{is_narrow ? DType::f32 : x.dtype(), x.device()};
  const Tensor sum = adds ? empty(x.shape(), {x.dtype(), x.device()}) : from;
  const Tensor normed = empty(x.shape(), {x.dtype(), x.device()});
  const Tensor mean = empty({rows}, computed), rstd = empty({rows}, computed);
  kernels::launch<kernels::Norm>(x.device(), sizes,
                                 kernels::Norm::Operands{.x = from.raw_data(),
                                                         .residual = address(addend),
                                                         .weight = address(scale),
                                                         .bias = address(shift),
                                                         .eps = eps,
                                                         .sum = sum.raw_data(),
                                                         .out = normed.raw_data(),
                                                         .mean = mean.raw_data(),
                                                         .rstd = rstd.raw_data()});
  auto backward = [sizes, computed, s = Saved(sum), w = Saved(scale), m = Saved(mean), r = Saved(rstd)](
                      const Gradients& outputs, Needs needs) {
    const Tensor of_sum = dense(outputs[0]), g = dense(outputs[1]);
    Tensor dx, dweight, dbias;
    if (needs[0] || needs[1]) dx = g.defined() ? empty_like(g) : of_sum;
    if (g.defined()) {
      if (needs[2]) dweight = empty({sizes.columns}, computed);
      if (needs[3]) dbias = empty({sizes.columns}, computed);
      kernels::launch<kernels::NormGrad>(g.device(), sizes,
                                         kernels::NormGrad::Operands{.g = g.raw_data(),
                                                                     .of_x = address(of_sum),
                                                                     .x = s->raw_data(),
                                                                     .weight = address(*w),
                                                                     .mean = m->raw_data(),
                                                                     .rstd = r->raw_data(),
                                                                     .dx = address(dx),
                                                                     .dweight = address(dweight),
                                                                     .dbias = address(dbias)});
    }
    return Gradients{dx, needs[1] ? dx : Tensor(), dweight, dbias};
  };
  autograd::record_all(op, {sum, normed}, {x, residual, weight, bias}, std::move(backward));
  return {sum, normed};
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  return norm("layer_norm", false, x, {}, weight, bias, eps).normed;
}

Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps) {
  return norm("rms_norm", true, x, {}, weight, {}, eps).normed;
}

AddNorm add_layer_norm(const Tensor& x, const Tensor& residual, const Tensor& weight, const Tensor& bias,
                       double eps) {
  return norm("add_layer_norm", false, x, residual, weight, bias, eps);
}

AddNorm add_rms_norm(const Tensor& x, const Tensor& residual, const Tensor& weight, double eps) {
  return norm("add_rms_norm", true, x, residual, weight, {}, eps);
}

}  // namespace tutti
