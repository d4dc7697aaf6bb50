// A GPT-2 of Hugging Face's transformers, loaded and run: see hugging_face.py.
#include <gtest/gtest.h>

#include "tests/support/golden.h"
#include "tutti/nn/gpt.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

const test::Goldens& goldens() {
  static const test::Goldens goldens(TUTTI_GOLDEN "/hugging_face.safetensors");
  return goldens;
}

void expect_logits(const NamedTensors& state) {
  nn::Gpt model({.vocabulary = 11, .layers = 2, .width = 8, .heads = 2, .context = 8});
  model.load_state_dict(nn::from_hugging_face(state));
  model.eval();
  test::expect_close(model(goldens().at("tokens")).detach(), goldens().at("logits"), "logits");
}

TEST(HuggingFace, StateDictFits) {
  NamedTensors state;
  for (const auto& name : goldens().names("state/")) state.push_back({name, goldens().at("state/" + name)});
  expect_logits(state);
}

// As in the files that OpenAI's weights were published in.
TEST(HuggingFace, StateDictOfTheBareModelFits) {
  NamedTensors state;
  for (const auto& name : goldens().names("state/transformer.")) {
    state.push_back({name, goldens().at("state/transformer." + name)});
  }
  state.push_back({"h.0.attn.bias", ones({1, 1, 8, 8})});
  state.push_back({"h.1.attn.masked_bias", ones({})});
  expect_logits(state);
}

}  // namespace
}  // namespace tutti
