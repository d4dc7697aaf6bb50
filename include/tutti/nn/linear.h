/// \file
#pragma once

#include "tutti/nn/module.h"

namespace tutti::nn {

struct LinearOptions {
  bool bias = true;
};

/// y = x weight^T + bias: [..., in] to [..., out]. Members `weight` [out, in] and `bias` [out].
class Linear : public Module {
 public:
  /// Uniform in +-1 / sqrt(in), as PyTorch does; the numbers come from `generator`.
  /// \throws ConfigError unless both sizes are positive.
  Linear(std::int64_t in, std::int64_t out, Generator generator, const LinearOptions& options = {});

  Tensor forward(const Tensor& x) override;
  void visit(MemberVisitor& visitor) override;

  Tensor weight;
  Tensor bias;  ///< undefined without one
};

}  // namespace tutti::nn
