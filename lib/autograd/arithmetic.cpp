#include "tutti/autograd/arithmetic.h"

#include <fmt/format.h>

#include "autograd/mixed.h"
#include "tensor/checks.h"
#include "tutti/autograd/math.h"
#include "tutti/autograd/node.h"
#include "tutti/autograd/reduce.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using autograd::Gradients;
using autograd::is_mixed;
using autograd::Needs;
using autograd::record;
using autograd::Saved;
using kernels::BinaryOp;

Tensor binary(BinaryOp op, const char* name, const Tensor& a, const Tensor& b) {
  check_alike(name, a, b);
  if (a.dtype() == DType::bool_)
    throw DTypeError(fmt::format("{}: not defined for bool; convert with to(dtype)", name));
  const Shape shape = broadcast_shapes(name, a.shape(), b.shape());
  Tensor out = empty(shape, {a.dtype(), a.device()});
  kernels::launch<kernels::Binary>(a.device(), op, a.dtype(), shape, out.raw_data(), operand(a, shape),
                                   operand(b, shape));
  return out;
}

// Records c = op(a, b) with partial derivatives da and db, each times the incoming gradient.
template <typename Da, typename Db>
Tensor record_binary(const char* name, const Tensor& out, const Tensor& a, const Tensor& b, Da da, Db db) {
  return record(
      name, out, {a, b},
      [sa = a.shape(), sb = b.shape(), da = std::move(da), db = std::move(db)](const Tensor& g, Needs needs) {
        return Gradients{needs[0] ? sum_to(da(g), sa) : Tensor(), needs[1] ? sum_to(db(g), sb) : Tensor()};
      });
}

// Half of the gradient to each where they tie.
Tensor extremum(BinaryOp op, const char* name, const Tensor& a, const Tensor& b) {
  if (is_mixed(a, b)) return extremum(op, name, to(a, DType::f32), to(b, DType::f32));
  const Tensor out = binary(op, name, a, b);
  const auto share = [op, x = Saved(a), y = Saved(b)](const Tensor& g, bool first) {
    const bool want_greater = (op == BinaryOp::maximum) == first;
    const Tensor wins = (want_greater ? gt(*x, *y) : lt(*x, *y)).to(g.dtype());
    return g * (wins + eq(*x, *y).to(g.dtype()) * 0.5);
  };
  return record_binary(
      name, out, a, b, [share](const Tensor& g) { return share(g, true); },
      [share](const Tensor& g) { return share(g, false); });
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) {
  if (is_mixed(a, b)) return add(to(a, DType::f32), to(b, DType::f32));
  const auto pass = [](const Tensor& g) { return g; };
  return record_binary("add", binary(BinaryOp::add, "add", a, b), a, b, pass, pass);
}

Tensor sub(const Tensor& a, const Tensor& b) {
  if (is_mixed(a, b)) return sub(to(a, DType::f32), to(b, DType::f32));
  return record_binary(
      "sub", binary(BinaryOp::sub, "sub", a, b), a, b, [](const Tensor& g) { return g; },
      [](const Tensor& g) { return -g; });
}

Tensor mul(const Tensor& a, const Tensor& b) {
  if (is_mixed(a, b)) return mul(to(a, DType::f32), to(b, DType::f32));
  return record_binary(
      "mul", binary(BinaryOp::mul, "mul", a, b), a, b, [y = Saved(b)](const Tensor& g) { return g * *y; },
      [x = Saved(a)](const Tensor& g) { return g * *x; });
}

Tensor div(const Tensor& a, const Tensor& b) {
  if (is_mixed(a, b)) return div(to(a, DType::f32), to(b, DType::f32));
  check_floating_point("div", a);
  const Tensor out = binary(BinaryOp::div, "div", a, b);
  return record_binary(
      "div", out, a, b, [y = Saved(b)](const Tensor& g) { return g / *y; },
      [y = Saved(b), q = Saved(out)](const Tensor& g) { return -(g * *q) / *y; });
}

Tensor pow(const Tensor& base, const Tensor& exponent) {
  if (is_mixed(base, exponent)) return pow(to(base, DType::f32), to(exponent, DType::f32));
  check_floating_point("pow", base);
  const Tensor out = binary(BinaryOp::pow, "pow", base, exponent);
  return record_binary(
      "pow", out, base, exponent,
      [x = Saved(base), p = Saved(exponent)](const Tensor& g) {
        // x^0 is 1 everywhere, also at 0, where x^-1 is infinite.
        return where(eq(*p, 0), scalar("pow", g, 0), g * *p * pow(*x, *p - 1));
      },
      [x = Saved(base), y = Saved(out)](const Tensor& g) {
        // 0^p has no slope in p, though log 0 is infinite.
        const Tensor zero = scalar("pow", g, 0);
        return where(eq(*x, 0), zero, g * *y * log(*x));
      });
}

Tensor maximum(const Tensor& a, const Tensor& b) { return extremum(BinaryOp::maximum, "maximum", a, b); }

Tensor minimum(const Tensor& a, const Tensor& b) { return extremum(BinaryOp::minimum, "minimum", a, b); }

Tensor add(const Tensor& a, double b) { return add(a, scalar("add", a, b)); }
Tensor sub(const Tensor& a, double b) { return sub(a, scalar("sub", a, b)); }
Tensor sub(double a, const Tensor& b) { return sub(scalar("sub", b, a), b); }
Tensor mul(const Tensor& a, double b) { return mul(a, scalar("mul", a, b)); }
Tensor div(const Tensor& a, double b) { return div(a, scalar("div", a, b)); }
Tensor div(double a, const Tensor& b) { return div(scalar("div", b, a), b); }

Tensor pow(const Tensor& base, double exponent) {
  if (exponent == 2) return square(base);
  return pow(base, scalar("pow", base, exponent));
}

}  // namespace tutti
