#include "tutti/nn/gpt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tutti/core/error.h"
#include "tutti/nn/loss.h"
#include "tutti/optim/adam.h"
#include "tutti/tutti.h"

namespace tutti::nn {
namespace {

const GptOptions tiny{.vocabulary = 5, .layers = 2, .width = 16, .heads = 2, .context = 8, .seed = 1};

TEST(Gpt, HasTheNamesAndShapesOfNanoGpt) {
  const Gpt model(tiny);
  const auto state = model.state_dict();
  const auto shape_of = [&state](const std::string& name) {
    const auto it =
        std::find_if(state.begin(), state.end(), [&](const auto& entry) { return entry.name == name; });
    return it == state.end() ? Shape{-1} : it->tensor.shape();
  };
  EXPECT_EQ(shape_of("transformer.wte.weight"), (Shape{5, 16}));
  EXPECT_EQ(shape_of("transformer.wpe.weight"), (Shape{8, 16}));
  EXPECT_EQ(shape_of("transformer.h.1.ln_1.bias"), (Shape{16}));
  EXPECT_EQ(shape_of("transformer.h.0.attn.c_attn.weight"), (Shape{48, 16}));
  EXPECT_EQ(shape_of("transformer.h.0.attn.c_proj.bias"), (Shape{16}));
  EXPECT_EQ(shape_of("transformer.h.1.mlp.c_fc.weight"), (Shape{64, 16}));
  EXPECT_EQ(shape_of("transformer.h.1.mlp.c_proj.weight"), (Shape{16, 64}));
  EXPECT_EQ(shape_of("transformer.ln_f.weight"), (Shape{16}));
  EXPECT_EQ(shape_of("lm_head.weight"), (Shape{5, 16}));
  // The head is the embedding: trained once. GPT-2's count is known.
  EXPECT_EQ(model.parameter_count(), 5 * 16 + 8 * 16 + 2 * (12 * 16 * 16 + 13 * 16) + 2 * 16);
}

TEST(Gpt, SeesNoFuture) {
  Gpt model(tiny);
  const Tensor a = model(tensor<std::int64_t>({0, 1, 2, 3}, {1, 4}));
  const Tensor b = model(tensor<std::int64_t>({0, 1, 4, 0}, {1, 4}));
  EXPECT_EQ(a.slice(1, 0, 2).to_vector<float>(), b.slice(1, 0, 2).to_vector<float>());
  EXPECT_NE(a.slice(1, 2, 3).to_vector<float>(), b.slice(1, 2, 3).to_vector<float>());
}

TEST(Gpt, LearnsASequenceAndContinuesIt) {
  Gpt model(tiny);
  optim::AdamW optimizer(model.parameters(), {.lr = 1e-2});
  const Tensor tokens = tensor<std::int64_t>({0, 1, 2, 3, 4, 0, 1, 2}, {1, 8});
  const Tensor targets = tensor<std::int64_t>({1, 2, 3, 4, 0, 1, 2, 3}, {1, 8});
  double loss_now = 0;
  for (int step = 0; step < 100; ++step) {
    const Tensor loss = cross_entropy(model(tokens), targets);
    loss_now = loss.item<double>();
    loss.backward();
    optimizer.step();
    optimizer.zero_grad();
  }
  EXPECT_LT(loss_now, 0.05);
  Generator rng(1);
  const Tensor text = model.generate(tensor<std::int64_t>({0}, {1, 1}), 7, {.temperature = 0}, rng);
  EXPECT_THAT(text.to_vector<std::int64_t>(), testing::ElementsAre(0, 1, 2, 3, 4, 0, 1, 2));
  EXPECT_TRUE(model.training());
}

TEST(Gpt, TheSameSeedGivesTheSameModelAndText) {
  Gpt a(tiny), b(tiny);
  Generator one(3), two(3);
  const Tensor prompt = tensor<std::int64_t>({1}, {1, 1});
  EXPECT_EQ(a.generate(prompt, 20, {.top_k = 3}, one).to_vector<std::int64_t>(),
            b.generate(prompt, 20, {.top_k = 3}, two).to_vector<std::int64_t>());
}

TEST(Gpt, DropoutDiffersByCallInTrainingAndIsOffInEvaluation) {
  GptOptions options = tiny;
  options.dropout = 0.5;
  Gpt model(options);
  const Tensor tokens = tensor<std::int64_t>({0, 1, 2, 3}, {1, 4});
  EXPECT_NE(model(tokens).to_vector<float>(), model(tokens).to_vector<float>());
  model.eval();
  EXPECT_EQ(model(tokens).to_vector<float>(), model(tokens).to_vector<float>());
}

// Its linear layers may be one operation with what lies between them, unless someone listens.
TEST(Gpt, CallsEachModuleWithAHook) {
  struct Listener : MemberVisitor {
    int calls = 0;
    void parameter(const std::string&, Tensor&) override {}
    void buffer(const std::string&, Tensor&) override {}
    void generator(const std::string&, Generator&) override {}
    void module(const std::string& name, Module& m) override {
      if (name == "mlp.c_fc" || name == "mlp.c_proj")
        m.register_forward_pre_hook([this](const Tensor&) { ++calls; });
      m.visit(*this);
    }
  };
  Gpt model(tiny), same(tiny);
  Listener listener;
  model.visit(listener);
  const Tensor tokens = tensor<std::int64_t>({0, 1, 2, 3}, {1, 4});
  EXPECT_EQ(model(tokens).to_vector<float>(), same(tokens).to_vector<float>());
  EXPECT_EQ(listener.calls, 4);
}

// What is added to the residual stream is added by the next norm, unless someone listens to that or to a block, or blocks
// are run again.
TEST(Gpt, HasTheSameBitsWhereItsStreamIsSummedBlockByBlock) {
  struct Listener : MemberVisitor {
    std::string suffix;
    std::vector<Tensor> heard;
    void parameter(const std::string&, Tensor&) override {}
    void buffer(const std::string&, Tensor&) override {}
    void generator(const std::string&, Generator&) override {}
    void module(const std::string& name, Module& m) override {
      if (name.ends_with(suffix))
        m.register_forward_pre_hook([this](const Tensor& x) { heard.push_back(x.detach()); });
      m.visit(*this);
    }
  };
  GptOptions options = tiny;
  options.dropout = 0.1;
  const Tensor tokens = tensor<std::int64_t>({0, 1, 2, 3, 4, 3, 2, 1}, {2, 4});
  const auto trained = [&](const std::string& suffix, std::size_t hooks) {
    Gpt model(options);
    Listener listener;
    listener.suffix = suffix;
    if (hooks > 0) model.visit(listener);
    const Tensor logits = model(tokens);
    EXPECT_EQ(listener.heard.size(), hooks);
    cross_entropy(logits, tokens).backward();
    std::vector<std::vector<float>> result{logits.to_vector<float>()};
    for (const auto& [name, tensor] : model.parameters()) result.push_back(tensor.grad().to_vector<float>());
    return result;
  };
  const auto expected = trained("", 0);
  EXPECT_EQ(trained("ln_1", 2), expected);
  EXPECT_EQ(trained("ln_2", 2), expected);
  EXPECT_EQ(trained("ln_f", 1), expected);
  EXPECT_EQ(trained("h.0", 1), expected);
  EXPECT_EQ(trained("h.1", 1), expected);
  options.recompute = true;
  EXPECT_EQ(trained("", 0), expected);
  EXPECT_EQ(trained("h.1", 1), expected);
}

TEST(Gpt, RefusesWhatDoesNotFit) {
  Gpt model(tiny);
  EXPECT_THROW(model(zeros({1, 9}, {.dtype = DType::i64})), ShapeError);
  const auto unknown = [&] { return model(full({1, 1}, 5, {.dtype = DType::i64})); };
  if (default_device().is_cuda()) {  // where a token that is not there is not waited for
    EXPECT_TRUE(std::isnan(unknown().to_vector<float>()[0]));
  } else {
    EXPECT_THROW(unknown(), ShapeError);
  }
  GptOptions odd = tiny;
  odd.heads = 3;
  EXPECT_THROW(Gpt{odd}, ConfigError);
}

}  // namespace
}  // namespace tutti::nn
