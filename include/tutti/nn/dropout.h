/// \file
#pragma once

#include "tutti/nn/module.h"

namespace tutti::nn {

/// In training, sets elements to 0 with probability `p` and scales the others by 1 / (1 - p); else the
/// identity. N. Srivastava et al. 2014.
class Dropout : public Module {
 public:
  /// The masks come from a stream of their own, of the seed of `generator`.
  /// \throws ConfigError for p outside [0, 1].
  Dropout(double p, Generator generator);
  Tensor forward(const Tensor& x) override;
  void visit(MemberVisitor& visitor) override;

 private:
  double p_;
  Generator generator_;
};

}  // namespace tutti::nn
