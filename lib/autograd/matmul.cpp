#include "tutti/autograd/matmul.h"

#include <fmt/format.h>

#include "autograd/mixed.h"
#include "autograd/product.h"
#include "tensor/checks.h"
#include "tutti/autograd/float32_matmul.h"
#include "tutti/autograd/node.h"
#include "tutti/autograd/reduce.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

using autograd::Gradients;
using autograd::multiply;
using autograd::Needs;
using autograd::Saved;

void check_product(const Tensor& a, const Tensor& b) {
  check_floating_point("matmul", a);
  check_alike("matmul", a, b);
  if (a.rank() == 0 || b.rank() == 0) {
    throw ShapeError(fmt::format("matmul: a number is no matrix: {} x {}", a.shape().str(), b.shape().str()));
  }
  if (a.size(-1) != b.size(b.rank() == 1 ? 0 : -2)) {
    throw ShapeError(fmt::format("matmul: inner sizes differ: {} x {}", a.shape().str(), b.shape().str()));
  }
}

}  // namespace

void autograd::check_linear(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  if (weight.rank() != 2 || x.rank() == 0 || x.size(-1) != weight.size(1)) {
    throw ShapeError(fmt::format("{}: x [..., in] needs a weight [out, in], got {} and {}", op,
                                 x.shape().str(), weight.shape().str()));
  }
  if (bias.defined() && bias.shape() != Shape{weight.size(0)}) {
    throw ShapeError(
        fmt::format("{}: the bias must be [{}], it is {}", op, weight.size(0), bias.shape().str()));
  }
}

Tensor matmul(const Tensor& a, const Tensor& b) {
  if (const auto dtype = autograd::product_dtype({&a, &b})) return matmul(to(a, *dtype), to(b, *dtype));
  check_product(a, b);
  if (a.rank() == 1) return squeeze(matmul(unsqueeze(a, 0), b), b.rank() == 1 ? 0 : -2);
  if (b.rank() == 1) return squeeze(matmul(a, unsqueeze(b, 1)), -1);
  return autograd::record(
      "matmul", multiply(a.detach(), b.detach()), {a, b},
      [x = Saved(a), y = Saved(b), precision = float32_matmul_precision()](const Tensor& g, Needs needs) {
        const Float32Matmul float32_matmul(precision);
        Gradients gradients(2);
        if (needs[0]) gradients[0] = sum_to(multiply(g, y->transpose(-1, -2)), x->shape());
        if (needs[1] && y->rank() == 2 && g.numel() != 0 && x->numel() != 0) {
          gradients[1] = autograd::transposed_product(*x, g);
        } else if (needs[1]) {
          gradients[1] = sum_to(multiply(x->transpose(-1, -2), g), y->shape());
        }
        return gradients;
      });
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  autograd::check_linear("linear", x, weight, bias);
  if (const auto dtype = autograd::product_dtype({&x, &weight, &bias})) {
    return linear(to(x, *dtype), to(weight, *dtype), autograd::converted(bias, *dtype));
  }
  check_floating_point("linear", x);
  check_alike("linear", x, weight);
  if (!bias.defined()) return matmul(x, weight.transpose(0, 1));
  check_alike("linear", x, bias);
  if (x.rank() == 1) return squeeze(linear(unsqueeze(x, 0), weight, bias), 0);
  const Tensor out = multiply(x.detach(), weight.detach().transpose(0, 1), bias.detach());
  return autograd::record(
      "linear", out, {x, weight, bias},
      [x = Saved(x), w = Saved(weight), precision = float32_matmul_precision()](const Tensor& g,
                                                                                Needs needs) {
        const Float32Matmul float32_matmul(precision);
        const auto gradients = autograd::linear_gradients(g, *x, *w, {needs[0], needs[1], needs[2]});
        return Gradients{gradients.x, gradients.weight, gradients.bias};
      });
}

}  // namespace tutti
