/// \file
/// GPT-2 (A. Radford et al. 2019).
#pragma once

#include <memory>
#include <vector>

#include "tutti/autograd/math.h"
#include "tutti/nn/attention.h"
#include "tutti/nn/embedding.h"
#include "tutti/nn/norm.h"

namespace tutti::nn {

/// By default those of GPT-2's smallest.
struct GptOptions {
  std::int64_t vocabulary = 50257;
  std::int64_t layers = 12;
  std::int64_t width = 768;
  std::int64_t heads = 12;
  std::int64_t context = 1024;  ///< longest sequence
  double dropout = 0;
  bool bias = true;
  Gelu gelu = Gelu::tanh;
  bool recompute = false;  ///< of each block keep the input only, and run it again in the backward pass
  std::uint64_t seed = 0;
};

struct GenerateOptions {
  double temperature = 1;  ///< 0 takes the likeliest token each time
  std::int64_t top_k = 0;  ///< draw among the `top_k` likeliest; 0 for all
};

/// Token ids [b, t] to logits [b, t, vocabulary]. Parameters have nanoGPT's names and layouts
/// ("transformer.h.0.attn.c_attn.weight" [3 width, width], ...); "lm_head.weight" is the token embedding.
/// GPT-2's initialisation: normal of deviation 0.02, divided by sqrt(2 layers) for projections into the
/// residual stream.
class Gpt : public Module {
 public:
  /// \throws ConfigError for sizes below 1, heads that do not divide the width, or a dropout outside [0, 1].
  explicit Gpt(const GptOptions& options = {});
  ~Gpt() override;
  Gpt(Gpt&&) noexcept;
  Gpt& operator=(Gpt&&) noexcept;

  /// \throws ShapeError for tokens that are not [b, t] or longer than the context.
  Tensor forward(const Tensor& tokens) override;
  void visit(MemberVisitor& visitor) override;

  /// `prompt` [1, t] followed by `count` tokens that the model continues it with: i64 [1, t + count]. Sees
  /// the last `context` tokens only. In evaluation mode, without gradients.
  Tensor generate(const Tensor& prompt, std::int64_t count, const GenerateOptions& options,
                  Generator& generator);

  const GptOptions& options() const { return options_; }

 private:
  struct Block;

  GptOptions options_;
  Generator generator_;
  Embedding wte_, wpe_;
  Dropout dropout_;
  std::vector<std::shared_ptr<Block>> blocks_;  // shared with the tape, see nn::recompute
  LayerNorm ln_f_;
};

/// The state dict of Hugging Face's GPT-2, as Gpt::load_state_dict takes it:
///
///     model.load_state_dict(nn::from_hugging_face(safetensors::load("model.safetensors")));
///
/// Names get the prefix "transformer." where they lack it, the weights of its Conv1D [in, out] are transposed, and the
/// masks that older files hold ("h.0.attn.bias") are left out.
NamedTensors from_hugging_face(const NamedTensors& state);

/// The way back, of Gpt::state_dict: what Hugging Face's GPT2LMHeadModel takes.
///
///     safetensors::save("model.safetensors", nn::to_hugging_face(model.state_dict()), {{"format", "pt"}});
///
/// The same bits: a state dict of a GPT2LMHeadModel that went through both is what it was, less the masks.
NamedTensors to_hugging_face(const NamedTensors& state);

}  // namespace tutti::nn
