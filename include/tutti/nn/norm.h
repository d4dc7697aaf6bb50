/// \file
#pragma once

#include "tutti/autograd/norm.h"
#include "tutti/nn/module.h"

namespace tutti::nn {

struct LayerNormOptions {
  double eps = 1e-5;
  bool bias = true;
};

/// tutti::layer_norm over the last dimension. Members `weight` [d], ones at first, and `bias` [d], zeros.
class LayerNorm : public Module {
 public:
  explicit LayerNorm(std::int64_t d, const LayerNormOptions& options = {});
  Tensor forward(const Tensor& x) override;
  /// x + residual and the norm of it, by add_layer_norm; in two steps where forward hooks wait for the sum.
  AddNorm add_norm(const Tensor& x, const Tensor& residual);
  void visit(MemberVisitor& visitor) override;

  Tensor weight;
  Tensor bias;  ///< undefined without one

 private:
  double eps_;
};

/// tutti::rms_norm over the last dimension. Member `weight` [d], ones at first.
class RMSNorm : public Module {
 public:
  explicit RMSNorm(std::int64_t d, double eps = 1e-5);
  Tensor forward(const Tensor& x) override;
  /// x + residual and the norm of it, by add_rms_norm; in two steps where forward hooks wait for the sum.
  AddNorm add_norm(const Tensor& x, const Tensor& residual);
  void visit(MemberVisitor& visitor) override;

  Tensor weight;

 private:
  double eps_;
};

}  // namespace tutti::nn
