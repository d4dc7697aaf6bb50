#include <fmt/format.h>

#include "autograd/mixed.h"
#include "tensor/checks.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/node.h"
#include "tutti/autograd/reduce.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using kernels::CompareOp;

Tensor compare(CompareOp op, const char* name, const Tensor& a, const Tensor& b) {
  if (autograd::is_mixed(a, b)) return compare(op, name, to(a, DType::f32), to(b, DType::f32));
  check_alike(name, a, b);
  const Shape shape = broadcast_shapes(name, a.shape(), b.shape());
  Tensor out = empty(shape, {DType::bool_, a.device()});
  kernels::launch<kernels::Compare>(a.device(), op, a.dtype(), shape, out.raw_data(), operand(a, shape),
                                    operand(b, shape));
  return out;
}

Tensor compare(CompareOp op, const char* name, const Tensor& a, double b) {
  return compare(op, name, a, scalar(name, a, b));
}

}  // namespace

Tensor eq(const Tensor& a, const Tensor& b) { return compare(CompareOp::eq, "eq", a, b); }
Tensor ne(const Tensor& a, const Tensor& b) { return compare(CompareOp::ne, "ne", a, b); }
Tensor lt(const Tensor& a, const Tensor& b) { return compare(CompareOp::lt, "lt", a, b); }
Tensor le(const Tensor& a, const Tensor& b) { return compare(CompareOp::le, "le", a, b); }
Tensor gt(const Tensor& a, const Tensor& b) { return compare(CompareOp::gt, "gt", a, b); }
Tensor ge(const Tensor& a, const Tensor& b) { return compare(CompareOp::ge, "ge", a, b); }
Tensor eq(const Tensor& a, double b) { return compare(CompareOp::eq, "eq", a, b); }
Tensor ne(const Tensor& a, double b) { return compare(CompareOp::ne, "ne", a, b); }
Tensor lt(const Tensor& a, double b) { return compare(CompareOp::lt, "lt", a, b); }
Tensor le(const Tensor& a, double b) { return compare(CompareOp::le, "le", a, b); }
Tensor gt(const Tensor& a, double b) { return compare(CompareOp::gt, "gt", a, b); }
Tensor ge(const Tensor& a, double b) { return compare(CompareOp::ge, "ge", a, b); }

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  if (autograd::is_mixed(a, b)) return where(condition, to(a, DType::f32), to(b, DType::f32));
  check_alike("where", a, b);
  check_same_device("where", condition, a);
  if (condition.dtype() != DType::bool_) {
    throw DTypeError(fmt::format("where: the condition must be bool, it is {}", name_of(condition.dtype())));
  }
  const Shape shape =
      broadcast_shapes("where", condition.shape(), broadcast_shapes("where", a.shape(), b.shape()));
  Tensor out = empty(shape, {a.dtype(), a.device()});
  kernels::launch<kernels::Where>(a.device(), size_of(a.dtype()), shape, out.raw_data(),
                                  operand(condition, shape), operand(a, shape), operand(b, shape));
  return autograd::record("where", out, {a, b},
                          [c = autograd::Saved(condition), sa = a.shape(), sb = b.shape()](
                              const Tensor& g, autograd::Needs needs) {
                            const Tensor zero = zeros({}, {g.dtype(), g.device()});
                            return autograd::Gradients{needs[0] ? sum_to(where(*c, g, zero), sa) : Tensor(),
                                                       needs[1] ? sum_to(where(*c, zero, g), sb) : Tensor()};
                          });
}

}  // namespace tutti
