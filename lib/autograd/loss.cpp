#include "tutti/autograd/loss.h"

#include <fmt/format.h>

#include "autograd/mixed.h"
#include "autograd/optional.h"
#include "kernels/loss.h"
#include "tensor/checks.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/math.h"
#include "tutti/autograd/node.h"
#include "tutti/autograd/reduce.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using autograd::Gradients;
using autograd::Needs;
using autograd::Saved;

// Broadcasting would hide the classic mistake of [n] against [n, 1].
void check_pair(const char* op, const Tensor& x, const Tensor& target) {
  check_floating_point(op, x);
  check_alike(op, x, target);
  if (x.shape() != target.shape()) {
    throw ShapeError(
        fmt::format("{}: the shapes differ: {} and {}", op, x.shape().str(), target.shape().str()));
  }
}

Tensor reduced(const Tensor& loss, Reduction reduction) {
  if (reduction == Reduction::none) return loss;
  return reduction == Reduction::sum ? sum(loss) : mean(loss);
}

}  // namespace

Tensor mse_loss(const Tensor& x, const Tensor& target, Reduction reduction) {
  if (autograd::is_mixed(x, target)) {
    return mse_loss(to(x, DType::f32), to(target, DType::f32), reduction);
  }
  check_pair("mse_loss", x, target);
  return reduced(square(x - target), reduction);
}

Tensor binary_cross_entropy_with_logits(const Tensor& x, const Tensor& target, Reduction reduction) {
  if (autograd::is_mixed(x, target)) {
    return binary_cross_entropy_with_logits(to(x, DType::f32), to(target, DType::f32), reduction);
  }
  check_pair("binary_cross_entropy_with_logits", x, target);
  const bool is_narrow = size_of(x.dtype()) == 2;
  if (is_narrow && x.device().is_cpu()) {
    return to(binary_cross_entropy_with_logits(to(x, DType::f32), to(target, DType::f32), reduction),
              x.dtype());
  }
  const Tensor dense = contiguous(x.detach());
  const Tensor targets = contiguous(target.detach());
  Tensor loss = empty(dense.shape(), {is_narrow ? DType::f32 : x.dtype(), x.device()});
  kernels::launch<kernels::BinaryCrossEntropy>(x.device(), x.dtype(), dense.raw_data(), targets.raw_data(),
                                               loss.raw_data(), x.numel());
  autograd::record("binary_cross_entropy_with_logits", loss, {x},
                   [sx = Saved(dense), st = Saved(targets)](const Tensor& g, Needs) {
                     using autograd::widened;
                     return Gradients{to(g * (sigmoid(widened(*sx)) - widened(*st)), sx->dtype())};
                   });
  return to(reduced(loss, reduction), x.dtype());
}

}  // namespace tutti
