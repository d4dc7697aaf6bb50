// Writing on from a prompt.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "tutti/autograd/grad_mode.h"
#include "tutti/autograd/shape.h"
#include "tutti/autograd/softmax.h"
#include "tutti/core/error.h"
#include "tutti/nn/gpt.h"
#include "tutti/tensor/creation.h"

namespace tutti::nn {
namespace {

std::int64_t draw(const Tensor& logits, const GenerateOptions& options, Generator& generator) {
  const auto values = logits.to(Device::cpu()).to(DType::f32).to_vector<float>();
  std::vector<std::int64_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  const auto by_logit = [&values](auto a, auto b) {
    const float x = values[static_cast<std::size_t>(a)], y = values[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  };
  std::sort(order.begin(), order.end(), by_logit);
  if (options.temperature == 0) return order[0];
  if (options.top_k > 0 && options.top_k < static_cast<std::int64_t>(order.size())) {
    order.resize(static_cast<std::size_t>(options.top_k));
  }
  std::vector<double> kept;
  for (const auto token : order)
    kept.push_back(values[static_cast<std::size_t>(token)] / options.temperature);
  const auto chances =
      softmax(from(kept, {static_cast<std::int64_t>(kept.size())}, Device::cpu())).to_vector<double>();
  double left = rand({1}, generator, 0, 1, {DType::f64, Device::cpu()}).item<double>();
  for (std::size_t i = 0; i < order.size(); ++i) {
    left -= chances[i];
    if (left < 0) return order[i];
  }
  return order.back();
}

}  // namespace

Tensor Gpt::generate(const Tensor& prompt, std::int64_t count, const GenerateOptions& options,
                     Generator& generator) {
  if (prompt.rank() != 2 || prompt.size(0) != 1 || prompt.size(1) < 1) {
    throw ShapeError(
        fmt::format("generate: the prompt is [1, t] with at least one token, got {}", prompt.shape().str()));
  }
  if (options.temperature < 0 || options.top_k < 0) {
    throw ConfigError(fmt::format("generate: temperature and top_k must not be negative, got {} and {}",
                                  options.temperature, options.top_k));
  }
  NoGrad no_grad;
  const bool was_training = training();
  eval();
  Tensor tokens = prompt.to(DType::i64);
  for (std::int64_t i = 0; i < count; ++i) {
    const Tensor seen =
        tokens.slice(1, std::max<std::int64_t>(0, tokens.size(1) - options_.context), tokens.size(1));
    const Tensor logits = (*this)(seen).select(0, 0).select(0, -1);
    tokens = cat(
        {tokens, from(std::vector<std::int64_t>{draw(logits, options, generator)}, {1, 1}, tokens.device())},
        1);
  }
  train(was_training);
  return tokens;
}

}  // namespace tutti::nn
