#include <fmt/format.h>

#include <algorithm>

#include "autograd/optional.h"
#include "kernels/loss.h"
#include "tensor/checks.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/loss.h"
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

void check(const Tensor& logits, const Tensor& targets, const CrossEntropyOptions& options) {
  check_floating_point("cross_entropy", logits);
  check_same_device("cross_entropy", logits, targets);
  if (targets.dtype() != DType::i64 && targets.dtype() != DType::i32) {
    throw DTypeError(fmt::format("cross_entropy: targets are i64 or i32, got {}", name_of(targets.dtype())));
  }
  Shape expected = logits.shape();
  if (!expected.empty()) expected.erase(expected.rank() - 1);
  if (logits.rank() == 0 || targets.shape() != expected) {
    throw ShapeError(fmt::format("cross_entropy: logits [..., classes] need targets [...], got {} and {}",
                                 logits.shape().str(), targets.shape().str()));
  }
  if (!(options.label_smoothing >= 0 && options.label_smoothing <= 1)) {
    throw ConfigError(
        fmt::format("cross_entropy: label_smoothing lies in [0, 1], got {}", options.label_smoothing));
  }
}

// Dense i64 targets that are classes or ignored. On a GPU the kernel looks at them, as the host would have to wait.
Tensor checked(const Tensor& targets, std::int64_t classes, std::int64_t ignored) {
  const Tensor dense = contiguous(to(targets, DType::i64));
  if (dense.device().is_cuda()) return dense;
  const std::int64_t bad = kernels::launch<kernels::FindBadTarget>(dense.device(), dense.data<std::int64_t>(),
                                                                   dense.numel(), classes, ignored);
  if (bad >= 0) {
    throw ShapeError(fmt::format("cross_entropy: target {} at position {} is outside [0, {})",
                                 dense.reshape({-1}).select(0, bad).item<std::int64_t>(), bad, classes));
  }
  return dense;
}

// The loss of every row, in f32 for logits of 16 bits.
Tensor losses(const Tensor& logits, const Tensor& targets, const CrossEntropyOptions& options) {
  const Tensor x = autograd::dense(logits);
  const auto args = [rows = targets.numel(), options](const Tensor& scores, const Tensor& classes) {
    return kernels::CrossEntropyArgs{scores.dtype(),
                                     rows,
                                     scores.size(-1),
                                     scores.raw_data(),
                                     classes.data<std::int64_t>(),
                                     options.ignore_index,
                                     options.label_smoothing};
  };
  Tensor loss = empty(targets.shape(), {size_of(x.dtype()) == 2 ? DType::f32 : x.dtype(), x.device()});
  const Tensor log_sums = empty_like(loss);
  kernels::launch<kernels::CrossEntropy>(x.device(), args(x, targets), loss.raw_data(), log_sums.raw_data());
  return autograd::record(
      "cross_entropy", loss, {logits},
      [args, sx = Saved(x), st = Saved(targets), sl = Saved(log_sums)](const Tensor& gradient, Needs needs) {
        // The gradient of a mean or sum is one number, expanded: read it where it lies.
        const Shape& strides = gradient.strides();
        const bool even = std::ranges::all_of(strides, [](std::int64_t stride) { return stride == 0; });
        const Tensor g = even ? gradient : contiguous(gradient);
        // Logits are often the largest tensor of a step.
        const bool in_place = needs.last() && sx.is_only();
        const Tensor out = in_place ? *sx : empty(sx->shape(), {sx->dtype(), sx->device()});
        kernels::launch<kernels::CrossEntropyGrad>(sx->device(), args(*sx, *st), sl->raw_data(), g.raw_data(),
                                                   std::int64_t{even ? 0 : 1}, out.raw_data());
        return Gradients{out};
      });
}

}  // namespace

Tensor cross_entropy(const Tensor& logits, const Tensor& targets, const CrossEntropyOptions& options) {
  check(logits, targets, options);
  if (size_of(logits.dtype()) == 2 && logits.device().is_cpu()) {
    return cross_entropy(logits.to(DType::f32), targets, options);
  }
  const Tensor classes = checked(targets, logits.size(-1), options.ignore_index);
  const Tensor loss = losses(logits, classes, options);
  if (options.reduction == Reduction::none) return loss;
  const Tensor total = sum(loss);
  if (options.reduction == Reduction::sum) return total;
  const Tensor counted = sum(ne(classes, static_cast<double>(options.ignore_index)));
  if (counted.device().is_cuda()) return total / counted.to(total.dtype());
  return total / counted.item<double>();
}

}  // namespace tutti
