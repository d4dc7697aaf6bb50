// Fifty steps of training a small GPT against PyTorch, from the same weights and batches: see gpt.py.
#include <gtest/gtest.h>

#include "tests/support/golden.h"
#include "tutti/autograd/loss.h"
#include "tutti/nn/gpt.h"
#include "tutti/optim/adam.h"
#include "tutti/optim/clip_grad.h"

namespace tutti {
namespace {

TEST(Gpt, TrainsAsInPyTorch) {
  const test::Goldens goldens(TUTTI_GOLDEN "/gpt.safetensors");
  nn::Gpt model({.vocabulary = 31, .layers = 2, .width = 32, .heads = 2, .context = 16});
  NamedTensors state;
  for (const std::string& name : goldens.names("model/"))
    state.push_back({name, goldens.at("model/" + name)});
  model.load_state_dict(state);
  NamedTensors matrices;
  NamedTensors vectors;
  for (const NamedTensor& one : model.parameters())
    (one.tensor.rank() > 1 ? matrices : vectors).push_back(one);
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
    const double norm = optim::clip_grad_norm_(model.parameters(), 1.0);
    optimizer.step();
    ASSERT_NEAR(loss.item(), losses[step], 1e-4) << "step " << step;
    ASSERT_NEAR(norm, norms[step], 1e-3 * norm) << "step " << step;
  }
}

}  // namespace
}  // namespace tutti
