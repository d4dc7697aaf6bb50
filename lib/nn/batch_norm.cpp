#include "tutti/nn/batch_norm.h"

#include <fmt/format.h>

#include "nn/init.h"
#include "tutti/autograd/batch_norm.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti::nn {

BatchNorm2d::BatchNorm2d(std::int64_t channels, const BatchNorm2dOptions& options)
    : num_batches_tracked(zeros({}, {.dtype = DType::i64})), eps_(options.eps), momentum_(options.momentum) {
  check_sizes("BatchNorm2d", {channels});
  running_mean = zeros({channels});
  running_var = ones({channels});
  if (!options.affine) return;
  weight = constant_parameter({channels}, 1);
  bias = constant_parameter({channels}, 0);
}

Tensor BatchNorm2d::forward(const Tensor& x) {
  if (x.rank() != 4) throw ShapeError(fmt::format("BatchNorm2d: x is [n, c, h, w], got {}", x.shape().str()));
  const Tensor out = batch_norm(x, running_mean, running_var, weight, bias,
                                {.training = training(), .momentum = momentum_, .eps = eps_});
  if (training()) num_batches_tracked.add_(ones({}, {DType::i64, num_batches_tracked.device()}));
  return out;
}

void BatchNorm2d::visit(MemberVisitor& visitor) {
  visitor.parameter("weight", weight);
  visitor.parameter("bias", bias);
  visitor.buffer("running_mean", running_mean);
  visitor.buffer("running_var", running_var);
  visitor.buffer("num_batches_tracked", num_batches_tracked);
}

}  // namespace tutti::nn
