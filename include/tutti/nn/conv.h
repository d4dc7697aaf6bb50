/// \file
#pragma once

#include "tutti/autograd/conv.h"
#include "tutti/nn/module.h"

namespace tutti::nn {

struct Conv2dOptions {
  Size2d stride = 1;
  Size2d padding = 0;
  Size2d dilation = 1;
  std::int64_t groups = 1;
  bool bias = true;
};

/// tutti::conv2d: [n, in, h, w] to [n, out, oh, ow]. Members `weight` [out, in / groups, kh, kw] and `bias`
/// [out].
class Conv2d : public Module {
 public:
  /// Uniform in +-1 / sqrt(in / groups * kh * kw), as PyTorch does; the numbers come from `generator`.
  /// \throws ConfigError for sizes below 1, or groups that do not divide both `in` and `out`.
  Conv2d(std::int64_t in, std::int64_t out, Size2d kernel, Generator generator,
         const Conv2dOptions& options = {});

  Tensor forward(const Tensor& x) override;
  void visit(MemberVisitor& visitor) override;

  Tensor weight;
  Tensor bias;  ///< undefined without one

 private:
  ConvOptions options_;
};

}  // namespace tutti::nn
