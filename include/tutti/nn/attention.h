/// \file
#pragma once

#include "tutti/nn/dropout.h"
#include "tutti/nn/linear.h"

namespace tutti::nn {

struct AttentionModuleOptions {
  bool bias = true;
  double dropout = 0;  ///< of the result
};

/// Multi-head causal self-attention, [b, t, width] to the same, in GPT-2's layout: `c_attn` makes queries,
/// keys and values side by side, `c_proj` mixes the heads.
class CausalSelfAttention : public Module {
 public:
  /// \throws ConfigError unless `heads` divides `width`.
  CausalSelfAttention(std::int64_t width, std::int64_t heads, Generator generator,
                      const AttentionModuleOptions& options = {});
  Tensor forward(const Tensor& x) override;
  void visit(MemberVisitor& visitor) override;

  Linear c_attn, c_proj;

 private:
  std::int64_t heads_;
  Dropout dropout_;
};

}  // namespace tutti::nn
