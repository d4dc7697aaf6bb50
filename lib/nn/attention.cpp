#include "tutti/nn/attention.h"

#include <fmt/format.h>

#include "tutti/autograd/attention.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"

namespace tutti::nn {

CausalSelfAttention::CausalSelfAttention(std::int64_t width, std::int64_t heads, Generator generator,
                                         const AttentionModuleOptions& options)
    : c_attn(width, 3 * width, generator, {.bias = options.bias}),
      c_proj(width, width, generator, {.bias = options.bias}),
      heads_(heads),
      dropout_(options.dropout, generator) {
  if (heads < 1 || width % heads != 0) {
    throw ConfigError(fmt::format("CausalSelfAttention: {} heads do not divide a width of {}", heads, width));
  }
}

Tensor CausalSelfAttention::forward(const Tensor& x) {
  const std::int64_t b = x.size(0), t = x.size(1), width = x.size(2);
  // [b, t, 3 width] to three views [b, heads, t, width / heads]
  const auto parts = split(c_attn(x).reshape({b, t, 3 * heads_, width / heads_}), heads_, 2);
  const Tensor y = scaled_dot_product_attention(parts[0].transpose(1, 2), parts[1].transpose(1, 2),
                                                parts[2].transpose(1, 2), {.causal = true});
  return dropout_(c_proj(y.transpose(1, 2).reshape({b, t, width})));
}

void CausalSelfAttention::visit(MemberVisitor& visitor) {
  visitor.module("c_attn", c_attn);
  visitor.module("c_proj", c_proj);
  visitor.module("dropout", dropout_);
}

}  // namespace tutti::nn
