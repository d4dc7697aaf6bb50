#include "tutti/autograd/mlp.h"

#include <optional>

#include "autograd/mixed.h"
#include "autograd/optional.h"
#include "autograd/product.h"
#include "kernels/elementwise.h"
#include "tensor/checks.h"
#include "tutti/autograd/float32_matmul.h"
#include "tutti/autograd/matmul.h"
#include "tutti/autograd/node.h"
#include "tutti/autograd/shape.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using autograd::address;
using autograd::dense;
using autograd::fused;
using autograd::Gradients;
using autograd::multiply;
using autograd::Needs;
using autograd::rows_of;
using autograd::Saved;
using Epilogue = kernels::MatmulEpilogue;

Tensor like_rows(const Tensor& x, std::int64_t columns) {
  Shape shape = x.shape();
  shape[shape.rank() - 1] = columns;
  return empty(shape, {x.dtype(), x.device()});
}

struct Activated {
  Tensor out;
  Tensor before;  // what the GELU is of; undefined where nobody will ask for it
};

// Nothing where it is not one product.
std::optional<Activated> activated(const Tensor& x, const Tensor& weight, const Tensor& bias, bool kept) {
  Activated result{like_rows(x, weight.size(0)), {}};
  if (kept) result.before = empty_like(result.out);
  if (!fused(
          rows_of(x), weight.transpose(0, 1), result.out,
          {.kind = Epilogue::Kind::gelu, .bias = address(dense(bias)), .pre_gelu = address(result.before)})) {
    return {};
  }
  return result;
}

// g gelu'(before), for dense ones.
Tensor gelu_gradient(const Tensor& g, const Tensor& before) {
  Tensor out = empty(g.shape(), {g.dtype(), g.device()});
  kernels::launch<kernels::Binary>(g.device(), kernels::BinaryOp::gelu_tanh_grad, g.dtype(), g.shape(),
                                   out.raw_data(), operand(g, g.shape()), operand(before, g.shape()));
  return out;
}

// (g weight) gelu'(before)
Tensor gelu_gradient(const Tensor& g, const Tensor& weight, const Tensor& before) {
  const Tensor out = empty_like(before);
  if (g.numel() != 0 &&
      fused(rows_of(g), weight, out, {.kind = Epilogue::Kind::gelu_grad, .pre_gelu = before.raw_data()})) {
    return out;
  }
  return gelu_gradient(multiply(g, weight), before);
}

void check_operands(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  autograd::check_linear(op, x, weight, bias);
  check_floating_point(op, x);
  check_alike(op, x, weight);
  if (bias.defined()) check_alike(op, x, bias);
}

// Whether to try products with a GELU in them.
bool may_fuse(const Tensor& x, Gelu approximate) {
  return autograd::has_fast_products(x) && approximate == Gelu::tanh && x.numel() != 0 && x.rank() > 1;
}

}  // namespace

Tensor linear_gelu(const Tensor& x, const Tensor& weight, const Tensor& bias, Gelu approximate) {
  if (const auto dtype = autograd::product_dtype({&x, &weight, &bias})) {
    return linear_gelu(to(x, *dtype), to(weight, *dtype), autograd::converted(bias, *dtype), approximate);
  }
  check_operands("linear_gelu", x, weight, bias);
  std::optional<Activated> up;
  if (may_fuse(x, approximate))
    up = activated(x.detach(), weight.detach(), bias, autograd::should_record({x, weight, bias}));
  if (!up) return gelu(linear(x, weight, bias), approximate);
  return autograd::record("linear_gelu", up->out, {x, weight, bias},
                          [x = Saved(x), w = Saved(weight), before = Saved(up->before),
                           precision = float32_matmul_precision()](const Tensor& g, Needs needs) {
                            const Float32Matmul float32_matmul(precision);
                            const auto gradients = autograd::linear_gradients(
                                gelu_gradient(g, *before), *x, *w, {needs[0], needs[1], needs[2]});
                            return Gradients{gradients.x, gradients.weight, gradients.bias};
                          });
}

Tensor mlp(const Tensor& x, const Tensor& up_weight, const Tensor& up_bias, const Tensor& down_weight,
           const Tensor& down_bias, Gelu approximate) {
  if (const auto dtype = autograd::product_dtype({&x, &up_weight, &up_bias, &down_weight, &down_bias})) {
    return mlp(to(x, *dtype), to(up_weight, *dtype), autograd::converted(up_bias, *dtype),
               to(down_weight, *dtype), autograd::converted(down_bias, *dtype), approximate);
  }
  check_operands("mlp", x, up_weight, up_bias);
  std::optional<Activated> up;
  if (may_fuse(x, approximate)) {
    const std::vector<Tensor> inputs{x, up_weight, up_bias, down_weight, down_bias};
    up = activated(x.detach(), up_weight.detach(), up_bias, autograd::should_record(inputs));
  }
  if (!up) return linear(gelu(linear(x, up_weight, up_bias), approximate), down_weight, down_bias);
  check_operands("mlp", up->out, down_weight, down_bias);
  const Tensor out = multiply(up->out, down_weight.detach().transpose(0, 1),
                              down_bias.defined() ? down_bias.detach() : down_bias);
  return autograd::record(
      "mlp", out, {x, up_weight, up_bias, down_weight, down_bias},
      [x = Saved(x), up_w = Saved(up_weight), down_w = Saved(down_weight), before = Saved(up->before),
       middle = Saved(up->out), precision = float32_matmul_precision()](const Tensor& g, Needs needs) {
        const Float32Matmul float32_matmul(precision);
        const auto second = autograd::linear_gradients(g, *middle, *down_w, {false, needs[3], needs[4]});
        if (!needs[0] && !needs[1] && !needs[2]) return Gradients{{}, {}, {}, second.weight, second.bias};
        const auto first = autograd::linear_gradients(gelu_gradient(g, *down_w, *before), *x, *up_w,
                                                      {needs[0], needs[1], needs[2]});
        return Gradients{first.x, first.weight, first.bias, second.weight, second.bias};
      });
}

}  // namespace tutti
