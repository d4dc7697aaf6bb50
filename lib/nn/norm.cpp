#include "tutti/nn/norm.h"

#include "nn/init.h"
#include "tutti/autograd/norm.h"

namespace tutti::nn {

LayerNorm::LayerNorm(std::int64_t d, const LayerNormOptions& options) : eps_(options.eps) {
  check_sizes("LayerNorm", {d});
  weight = constant_parameter({d}, 1);
  if (options.bias) bias = constant_parameter({d}, 0);
}

Tensor LayerNorm::forward(const Tensor& x) { return layer_norm(x, weight, bias, eps_); }

void LayerNorm::visit(MemberVisitor& visitor) {
  visitor.parameter("weight", weight);
  visitor.parameter("bias", bias);
}

RMSNorm::RMSNorm(std::int64_t d, double eps) : eps_(eps) {
  check_sizes("RMSNorm", {d});
  weight = constant_parameter({d}, 1);
}

Tensor RMSNorm::forward(const Tensor& x) { return rms_norm(x, weight, eps_); }

void RMSNorm::visit(MemberVisitor& visitor) { visitor.parameter("weight", weight); }

}  // namespace tutti::nn
