// A GPT-2 of Hugging Face's transformers, loaded, run, trained and given back: see hugging_face.py.
#include <gtest/gtest.h>

#include "tests/support/files.h"
#include "tests/support/golden.h"
#include "tutti/autograd/loss.h"
#include "tutti/nn/gpt.h"
#include "tutti/optim/sgd.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

const test::Goldens& model_goldens() {
  static const test::Goldens goldens(TUTTI_GOLDEN "/hugging_face.safetensors");
  return goldens;
}

NamedTensors state_of(const std::string& prefix) {
  NamedTensors state;
  for (const auto& name : model_goldens().names(prefix))
    state.push_back({name, model_goldens().at(prefix + name)});
  return state;
}

const nn::GptOptions sizes{.vocabulary = 11, .layers = 2, .width = 8, .heads = 2, .context = 8};

void expect_logits(const NamedTensors& state) {
  nn::Gpt model(sizes);
  model.load_state_dict(nn::from_hugging_face(state));
  model.eval();
  test::expect_close(model(model_goldens().at("tokens")).detach(), model_goldens().at("logits"), "logits");
}

TEST(HuggingFace, StateDictFits) { expect_logits(state_of("state/")); }

// As in the files that OpenAI's weights were published in.
TEST(HuggingFace, StateDictOfTheBareModelFits) {
  NamedTensors state;
  for (const auto& name : model_goldens().names("state/transformer.")) {
    state.push_back({name, model_goldens().at("state/transformer." + name)});
  }
  state.push_back({"h.0.attn.bias", ones({1, 1, 8, 8})});
  state.push_back({"h.1.attn.masked_bias", ones({})});
  expect_logits(state);
}

TEST(HuggingFace, TrainsOnAndGoesBack) {
  nn::Gpt model(sizes);
  model.load_state_dict(nn::from_hugging_face(state_of("state/")));
  optim::SGD optimizer(model.parameters(), {.lr = 0.1, .momentum = 0.9});
  const Tensor& tokens = model_goldens().at("tokens");
  const auto losses = model_goldens().at("losses").to_vector<float>();
  for (std::size_t step = 0; step < losses.size(); ++step) {
    const Tensor loss = cross_entropy(model(tokens.slice(1, 0, -1)), tokens.slice(1, 1, tokens.size(1)));
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    EXPECT_NEAR(loss.item(), losses[step], 1e-5) << "step " << step;
  }
  const auto trained = state_of("trained/");
  const auto back = nn::to_hugging_face(model.state_dict());
  ASSERT_EQ(back.size(), trained.size());
  for (const auto& [name, tensor] : back)
    test::expect_close(tensor, model_goldens().at("trained/" + name), name, 1e-4);
}

// Through the model and through files.
TEST(HuggingFace, RoundTripKeepsEveryByte) {
  const test::TemporaryDirectory directory;
  const safetensors::Metadata notes{{"format", "pt"}};
  safetensors::save(directory / "theirs", state_of("state/"), notes);
  nn::Gpt model(sizes);
  model.load_state_dict(nn::from_hugging_face(safetensors::load(directory / "theirs")));
  safetensors::save(directory / "back", nn::to_hugging_face(model.state_dict()), notes);
  EXPECT_EQ(test::read_file(directory / "back"), test::read_file(directory / "theirs"));
}

// save_pretrained leaves out what is tied: "lm_head.weight" is the token embedding.
TEST(HuggingFace, ATiedHeadMayBeLeftOut) {
  auto state = state_of("state/");
  ASSERT_EQ(std::erase_if(state, [](const NamedTensor& one) { return one.name == "lm_head.weight"; }), 1u);
  expect_logits(state);
}

}  // namespace
}  // namespace tutti
