/// \file
#pragma once

#include "tutti/nn/module.h"

namespace tutti::nn {

/// Rows of `weight` [count, d] by index: i64 or i32 [...] to [..., d].
class Embedding : public Module {
 public:
  /// Normal with mean 0 and deviation 1, as PyTorch does.
  Embedding(std::int64_t count, std::int64_t d, Generator generator);
  Tensor forward(const Tensor& indices) override;
  void visit(MemberVisitor& visitor) override;

  Tensor weight;
};

}  // namespace tutti::nn
