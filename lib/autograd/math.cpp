#include "tutti/autograd/math.h"

#include <fmt/format.h>

#include "tensor/checks.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/node.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using autograd::Gradients;
using autograd::Needs;
using autograd::record;
using autograd::Saved;
using kernels::BinaryOp;
using kernels::UnaryOp;

Tensor unary(UnaryOp op, const Tensor& x) {
  Tensor out = empty_like(x);
  kernels::launch<kernels::Unary>(x.device(), op, x.dtype(), x.shape(), out.raw_data(),
                                  operand(x, x.shape()));
  return out;
}

// Functions of real numbers.
Tensor real(UnaryOp op, const char* name, const Tensor& x) {
  check_floating_point(name, x);
  return unary(op, x);
}

void check_number(const char* op, const Tensor& x) {
  if (x.dtype() == DType::bool_)
    throw DTypeError(fmt::format("{}: not defined for bool; convert with to(dtype)", op));
}

// Functions of integers too.
Tensor number(UnaryOp op, const char* name, const Tensor& x) {
  check_number(name, x);
  return unary(op, x);
}

template <typename F>
Tensor record_unary(const char* name, const Tensor& out, const Tensor& x, F gradient) {
  return record(name, out, {x},
                [f = std::move(gradient)](const Tensor& g, Needs) { return Gradients{f(g)}; });
}

// A gradient that one kernel computes from g and the input (or output) that was saved.
Tensor fused(BinaryOp op, const Tensor& g, const Tensor& saved) {
  Tensor out = empty(g.shape(), {g.dtype(), g.device()});
  kernels::launch<kernels::Binary>(g.device(), op, g.dtype(), g.shape(), out.raw_data(),
                                   operand(g, g.shape()), operand(saved, g.shape()));
  return out;
}

Tensor record_fused(const char* name, const Tensor& out, const Tensor& x, BinaryOp op, const Tensor& saved) {
  return record_unary(name, out, x, [op, s = Saved(saved)](const Tensor& g) { return fused(op, g, *s); });
}

}  // namespace

Tensor neg(const Tensor& x) {
  return record_unary("neg", number(UnaryOp::neg, "neg", x), x, [](const Tensor& g) { return -g; });
}

Tensor abs(const Tensor& x) {
  return record_unary("abs", number(UnaryOp::abs, "abs", x), x,
                      [s = Saved(x)](const Tensor& g) { return g * sign(*s); });
}

Tensor sign(const Tensor& x) {
  return record_unary("sign", number(UnaryOp::sign, "sign", x), x,
                      [](const Tensor& g) { return zeros_like(g); });
}

Tensor square(const Tensor& x) {
  return record_unary("square", number(UnaryOp::square, "square", x), x,
                      [s = Saved(x)](const Tensor& g) { return g * *s * 2; });
}

Tensor exp(const Tensor& x) {
  const Tensor y = real(UnaryOp::exp, "exp", x);
  return record_unary("exp", y, x, [s = Saved(y)](const Tensor& g) { return g * *s; });
}

Tensor log(const Tensor& x) {
  return record_unary("log", real(UnaryOp::log, "log", x), x,
                      [s = Saved(x)](const Tensor& g) { return g / *s; });
}

Tensor sqrt(const Tensor& x) {
  const Tensor y = real(UnaryOp::sqrt, "sqrt", x);
  return record_unary("sqrt", y, x, [s = Saved(y)](const Tensor& g) { return g / (*s * 2); });
}

Tensor rsqrt(const Tensor& x) {
  const Tensor y = real(UnaryOp::rsqrt, "rsqrt", x);
  return record_unary("rsqrt", y, x, [s = Saved(y)](const Tensor& g) { return g * *s * *s * *s * -0.5; });
}

Tensor reciprocal(const Tensor& x) {
  const Tensor y = real(UnaryOp::reciprocal, "reciprocal", x);
  return record_unary("reciprocal", y, x, [s = Saved(y)](const Tensor& g) { return -(g * *s * *s); });
}

Tensor sin(const Tensor& x) {
  return record_unary("sin", real(UnaryOp::sin, "sin", x), x,
                      [s = Saved(x)](const Tensor& g) { return g * cos(*s); });
}

Tensor cos(const Tensor& x) {
  return record_unary("cos", real(UnaryOp::cos, "cos", x), x,
                      [s = Saved(x)](const Tensor& g) { return -(g * sin(*s)); });
}

Tensor tanh(const Tensor& x) {
  const Tensor y = real(UnaryOp::tanh, "tanh", x);
  return record_fused("tanh", y, x, BinaryOp::tanh_grad, y);
}

Tensor erf(const Tensor& x) {
  constexpr double two_over_sqrt_pi = 1.12837916709551257390;
  return record_unary("erf", real(UnaryOp::erf, "erf", x), x,
                      [s = Saved(x)](const Tensor& g) { return g * exp(-square(*s)) * two_over_sqrt_pi; });
}

Tensor floor(const Tensor& x) {
  return record_unary("floor", real(UnaryOp::floor, "floor", x), x,
                      [](const Tensor& g) { return zeros_like(g); });
}

Tensor sigmoid(const Tensor& x) {
  const Tensor y = real(UnaryOp::sigmoid, "sigmoid", x);
  return record_fused("sigmoid", y, x, BinaryOp::sigmoid_grad, y);
}

Tensor relu(const Tensor& x) {
  return record_fused("relu", number(UnaryOp::relu, "relu", x), x, BinaryOp::relu_grad, x);
}

Tensor gelu(const Tensor& x, Gelu approximate) {
  const bool exact = approximate == Gelu::exact;
  return record_fused("gelu", real(exact ? UnaryOp::gelu : UnaryOp::gelu_tanh, "gelu", x), x,
                      exact ? BinaryOp::gelu_grad : BinaryOp::gelu_tanh_grad, x);
}

Tensor silu(const Tensor& x) {
  return record_fused("silu", real(UnaryOp::silu, "silu", x), x, BinaryOp::silu_grad, x);
}

Tensor clamp(const Tensor& x, double low, double high) {
  if (!(low <= high)) throw ConfigError(fmt::format("clamp: the range [{}, {}] is empty", low, high));
  check_number("clamp", x);
  // Through where, with no gradient at a bound: relu's rule, and PyTorch's since 2.15.
  const Tensor least = scalar("clamp", x, low), most = scalar("clamp", x, high);
  return where(le(x, least), least, where(ge(x, most), most, x));
}

Tensor logical_not(const Tensor& x) {
  if (x.dtype() != DType::bool_) {
    throw DTypeError(fmt::format("logical_not: bool is needed, got {}", name_of(x.dtype())));
  }
  return unary(UnaryOp::logical_not, x);
}

}  // namespace tutti
