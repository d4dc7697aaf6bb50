// Fifty steps of training a small GPT against PyTorch, from the same weights and batches: see gpt.py.
#include <gtest/gtest.h>

#include <map>

#include "tests/support/golden.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/index.h"
#include "tutti/autograd/loss.h"
#include "tutti/autograd/math.h"
#include "tutti/autograd/matmul.h"
#include "tutti/autograd/reduce.h"
#include "tutti/autograd/softmax.h"
#include "tutti/optim/adam.h"
#include "tutti/optim/clip_grad.h"

namespace tutti {
namespace {

constexpr int layers = 2;
constexpr int heads = 2;

// The model as a function of named tensors, in plain operations.
class SmallGpt {
 public:
  explicit SmallGpt(const test::Goldens& goldens) {
    for (const std::string& name : goldens.names("model/")) {
      if (name == "lm_head.weight") continue;  // tied to transformer.wte.weight
      tensors_[name] = goldens.at("model/" + name).clone().set_requires_grad();
    }
  }

  NamedTensors parameters(bool matrices) const {
    NamedTensors some;
    for (const auto& [name, tensor] : tensors_) {
      if ((tensor.rank() >= 2) == matrices) some.push_back({name, tensor});
    }
    return some;
  }

  Tensor operator()(const Tensor& tokens) const {
    const Tensor& wte = at("transformer.wte.weight");
    Tensor x = embedding(tokens, wte) + at("transformer.wpe.weight").slice(0, 0, tokens.size(1));
    for (int layer = 0; layer < layers; ++layer) {
      const std::string block = "transformer.h." + std::to_string(layer);
      x = x + attention(block + ".attn", norm(block + ".ln_1", x));
      const Tensor hidden = gelu(dense(block + ".mlp.c_fc", norm(block + ".ln_2", x)), Gelu::tanh);
      x = x + dense(block + ".mlp.c_proj", hidden);
    }
    return linear(norm("transformer.ln_f", x), wte);
  }

 private:
  const Tensor& at(const std::string& name) const { return tensors_.at(name); }

  Tensor dense(const std::string& name, const Tensor& x) const {
    return linear(x, at(name + ".weight"), at(name + ".bias"));
  }

  Tensor norm(const std::string& name, const Tensor& x) const {
    const Tensor scale = rsqrt(var(x, {-1}, 0, true) + 1e-5);
    return (x - x.mean({-1}, true)) * scale * at(name + ".weight") + at(name + ".bias");
  }

  Tensor attention(const std::string& name, const Tensor& x) const {
    const std::int64_t batch = x.size(0), length = x.size(1), width = x.size(2);
    std::vector<Tensor> qkv;
    for (const Tensor& part : split(dense(name + ".c_attn", x), width, -1)) {
      qkv.push_back(part.reshape({batch, length, heads, width / heads}).transpose(1, 2));
    }
    const Tensor y = scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], {.causal = true});
    return dense(name + ".c_proj", y.transpose(1, 2).reshape({batch, length, width}));
  }

  std::map<std::string, Tensor> tensors_;
};

TEST(Gpt, TrainsAsInPyTorch) {
  const test::Goldens goldens(TUTTI_GOLDEN "/gpt.safetensors");
  const SmallGpt model(goldens);
  const NamedTensors matrices = model.parameters(true);
  const NamedTensors vectors = model.parameters(false);
  NamedTensors all = matrices;
  all.insert(all.end(), vectors.begin(), vectors.end());
  const auto options = [](double weight_decay) {
    return optim::AdamWOptions{.lr = 1e-2, .beta2 = 0.99, .weight_decay = weight_decay};
  };
  using Group = optim::ParameterGroup<optim::AdamWOptions>;
  optim::AdamW optimizer(std::vector<Group>{{matrices, options(0.1)}, {vectors, options(0)}});

  const Tensor& tokens = goldens.at("tokens");
  const auto losses = goldens.at("losses").to_vector<float>();
  const auto norms = goldens.at("norms").to_vector<float>();
  for (std::size_t step = 0; step < losses.size(); ++step) {
    const Tensor batch = tokens.select(0, static_cast<std::int64_t>(step));
    const Tensor loss = cross_entropy(model(batch.slice(1, 0, -1)), batch.slice(1, 1, batch.size(1)));
    optimizer.zero_grad();
    loss.backward();
    const double norm = optim::clip_grad_norm_(all, 1.0);
    optimizer.step();
    ASSERT_NEAR(loss.item(), losses[step], 1e-4) << "step " << step;
    ASSERT_NEAR(norm, norms[step], 1e-3 * norm) << "step " << step;
  }
}

}  // namespace
}  // namespace tutti
