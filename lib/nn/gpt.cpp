#include "tutti/nn/gpt.h"

#include <fmt/format.h>

#include <cmath>

#include "nn/init.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/matmul.h"
#include "tutti/autograd/mlp.h"
#include "tutti/core/error.h"
#include "tutti/nn/recompute.h"
#include "tutti/tensor/creation.h"

namespace tutti::nn {
namespace {

const GptOptions& checked(const GptOptions& o) {
  check_sizes("Gpt", {o.vocabulary, o.layers, o.width, o.heads, o.context});
  check_probability("Gpt", o.dropout);
  return o;
}

void draw_normal(Tensor& parameter, double stddev, Generator& generator) {
  parameter.copy_(randn(parameter.shape(), generator, 0, stddev));
}

// The residual stream, and what is to be added to it: the next norm does that on its way.
struct Stream {
  Tensor x;
  Tensor branch;

  Tensor sum() const { return branch.defined() ? x + branch : x; }
  Tensor add_norm(LayerNorm& norm) {
    const auto [sum, normed] = norm.add_norm(x, branch);
    *this = {sum, {}};
    return normed;
  }
};

}  // namespace

struct Gpt::Block : Module {
  LayerNorm ln_1;
  CausalSelfAttention attn;
  LayerNorm ln_2;
  Linear c_fc, c_proj;
  Dropout dropout;
  Gelu gelu_kind;

  Block(const GptOptions& o, Generator rng)
      : ln_1(o.width, {.bias = o.bias}),
        attn(o.width, o.heads, rng, {.bias = o.bias, .dropout = o.dropout}),
        ln_2(o.width, {.bias = o.bias}),
        c_fc(o.width, 4 * o.width, rng, {.bias = o.bias}),
        c_proj(4 * o.width, o.width, rng, {.bias = o.bias}),
        dropout(o.dropout, rng),
        gelu_kind(o.gelu) {
    const double residual = 0.02 / std::sqrt(2.0 * static_cast<double>(o.layers));
    draw_normal(attn.c_attn.weight, 0.02, rng);
    draw_normal(attn.c_proj.weight, residual, rng);
    draw_normal(c_fc.weight, 0.02, rng);
    draw_normal(c_proj.weight, residual, rng);
    for (Linear* layer : {&attn.c_attn, &attn.c_proj, &c_fc, &c_proj}) {
      if (layer->bias.defined()) layer->bias.zero_();
    }
  }

  Tensor forward(const Tensor& x) override {
    Stream stream{x, {}};
    extend(stream);
    return stream.sum();
  }

  void extend(Stream& stream) {
    stream.branch = attn(stream.add_norm(ln_1));
    stream.branch = dropout(feed_forward(stream.add_norm(ln_2)));
  }

  Tensor feed_forward(const Tensor& x) {
    if (c_fc.has_forward_hooks() || c_proj.has_forward_hooks()) return c_proj(gelu(c_fc(x), gelu_kind));
    return mlp(x, c_fc.weight, c_fc.bias, c_proj.weight, c_proj.bias, gelu_kind);
  }

  void visit(MemberVisitor& v) override {
    v.module("ln_1", ln_1);
    v.module("attn", attn);
    v.module("ln_2", ln_2);
    v.module("mlp.c_fc", c_fc);
    v.module("mlp.c_proj", c_proj);
    v.module("mlp.dropout", dropout);
  }
};

Gpt::Gpt(const GptOptions& options)
    : options_(checked(options)),
      generator_(options.seed),
      wte_(options.vocabulary, options.width, generator_),
      wpe_(options.context, options.width, generator_),
      dropout_(options.dropout, generator_),
      ln_f_(options.width, {.bias = options.bias}) {
  draw_normal(wte_.weight, 0.02, generator_);
  draw_normal(wpe_.weight, 0.02, generator_);
  for (std::int64_t i = 0; i < options.layers; ++i)
    blocks_.push_back(std::make_shared<Block>(options, generator_));
}

Gpt::~Gpt() = default;
Gpt::Gpt(Gpt&&) noexcept = default;
Gpt& Gpt::operator=(Gpt&&) noexcept = default;

Tensor Gpt::forward(const Tensor& tokens) {
  if (tokens.rank() != 2 || tokens.size(1) > options_.context) {
    throw ShapeError(fmt::format("Gpt: tokens are [b, t] with t up to the context of {}, got {}",
                                 options_.context, tokens.shape().str()));
  }
  const Tensor positions = arange(tokens.size(1), {DType::i64, tokens.device()});
  Stream stream{dropout_(wte_(tokens) + wpe_(positions)), {}};
  for (const auto& block : blocks_) {
    if (options_.recompute) {
      stream = {recompute(block, stream.sum()), {}};
    } else if (block->has_forward_hooks()) {
      stream = {(*block)(stream.sum()), {}};
    } else {
      block->extend(stream);
    }
  }
  return linear(stream.add_norm(ln_f_), wte_.weight);
}

void Gpt::visit(MemberVisitor& visitor) {
  visitor.module("transformer.wte", wte_);
  visitor.module("transformer.wpe", wpe_);
  visitor.module("transformer.drop", dropout_);
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    visitor.module(fmt::format("transformer.h.{}", i), *blocks_[i]);
  }
  visitor.module("transformer.ln_f", ln_f_);
  visitor.parameter("lm_head.weight", wte_.weight);
}

}  // namespace tutti::nn
