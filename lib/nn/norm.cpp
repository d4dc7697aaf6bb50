#include "tutti/nn/norm.h"

#include "nn/init.h"
#include "tutti/autograd/arithmetic.h"

namespace tutti::nn {
namespace {

AddNorm in_two_steps(Module& norm, const Tensor& x, const Tensor& residual) {
  const Tensor sum = residual.defined() ? x + residual : x;
  return {sum, norm(sum)};
}

}  // namespace

LayerNorm::LayerNorm(std::int64_t d, const LayerNormOptions& options) : eps_(options.eps) {
  check_sizes("LayerNorm", {d});
  weight = constant_parameter({d}, 1);
  if (options.bias) bias = constant_parameter({d}, 0);
}

Tensor LayerNorm::forward(const Tensor& x) { return layer_norm(x, weight, bias, eps_); }

AddNorm LayerNorm::add_norm(const Tensor& x, const Tensor& residual) {
  if (has_forward_hooks()) return in_two_steps(*this, x, residual);
  return add_layer_norm(x, residual, weight, bias, eps_);
}

void LayerNorm::visit(MemberVisitor& visitor) {
  visitor.parameter("weight", weight);
  visitor.parameter("bias", bias);
}

RMSNorm::RMSNorm(std::int64_t d, double eps) : eps_(eps) {
  check_sizes("RMSNorm", {d});
  weight = constant_parameter({d}, 1);
}

Tensor RMSNorm::forward(const Tensor& x) { return rms_norm(x, weight, eps_); }

AddNorm RMSNorm::add_norm(const Tensor& x, const Tensor& residual) {
  if (has_forward_hooks()) return in_two_steps(*this, x, residual);
  return add_rms_norm(x, residual, weight, eps_);
}

void RMSNorm::visit(MemberVisitor& visitor) { visitor.parameter("weight", weight); }

}  // namespace tutti::nn
