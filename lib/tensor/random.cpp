#include "tutti/tensor/random.h"

#include <fmt/format.h>

#include <utility>

#include "kernels/random.h"
#include "kernels/replayed.h"
#include "tensor/random_state.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

// For `count` elements.
kernels::RandomState take(Generator& generator, std::int64_t count, std::int64_t per_block, Device device) {
  return take_blocks(generator, static_cast<std::uint64_t>((count + per_block - 1) / per_block), device);
}

// bf16 and f16 are rounded from the f32 numbers of the same position; on a GPU by the kernel that draws them.
Tensor random(kernels::Distribution distribution, const char* name, const Shape& shape, Generator& generator,
              double a, double b, const TensorOptions& options) {
  if (!is_floating_point(options.dtype)) {
    throw DTypeError(fmt::format("{}: floating point is needed, got {}", name, name_of(options.dtype)));
  }
  const bool rounds = size_of(options.dtype) == 2 && options.device.is_cpu();
  const DType drawn = rounds ? DType::f32 : options.dtype;
  Tensor out = empty(shape, {drawn, options.device});
  kernels::launch<kernels::Random>(options.device, distribution,
                                   take(generator, out.numel(), kernels::per_block(drawn), options.device),
                                   drawn, out.raw_data(), out.numel(), a, b);
  return drawn == options.dtype ? out : empty(shape, options).copy_(out);
}

}  // namespace

kernels::RandomState take_blocks(Generator& generator, std::uint64_t blocks, Device device) {
  const auto taken = [](Generator& from, std::uint64_t count) -> kernels::RandomState {
    const Generator::State state = from.advance(count);
    return {state.seed, state.stream, state.position};
  };
  if (!device.is_cuda() || !cuda::is_capturing()) return taken(generator, blocks);
  return {.seed = 0,
          .stream = 0,
          .position = 0,
          .on_device = kernels::replayed<kernels::RandomState>(
              device, [=, from = generator]() mutable { return taken(from, blocks); })};
}

Generator::State Generator::advance(std::uint64_t blocks) {
  const State before = *state_;
  state_->position += blocks;
  return before;
}

Tensor rand(const Shape& shape, Generator& generator, double low, double high, const TensorOptions& options) {
  if (!(low <= high)) throw ConfigError(fmt::format("rand: the range [{}, {}) is empty", low, high));
  return random(kernels::Distribution::uniform, "rand", shape, generator, low, high, options);
}

Tensor randn(const Shape& shape, Generator& generator, double mean, double stddev,
             const TensorOptions& options) {
  if (!(stddev >= 0))
    throw ConfigError(fmt::format("randn: the standard deviation must not be negative, got {}", stddev));
  return random(kernels::Distribution::normal, "randn", shape, generator, mean, stddev, options);
}

Tensor randint(std::int64_t low, std::int64_t high, const Shape& shape, Generator& generator,
               const TensorOptions& options) {
  const auto range = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
  if (low >= high || range > (std::uint64_t{1} << 32)) {
    throw ConfigError(fmt::format("randint: the range [{}, {}) must hold 1 to 2^32 integers", low, high));
  }
  Tensor out = empty(shape, {DType::i64, options.device});
  kernels::launch<kernels::RandomInt>(options.device, take(generator, out.numel(), 4, options.device),
                                      out.data<std::int64_t>(), out.numel(), range, low);
  return options.dtype == DType::i64 ? out : empty(shape, options).copy_(out);
}

Tensor bernoulli(double p, const Shape& shape, Generator& generator, const TensorOptions& options) {
  if (!(p >= 0 && p <= 1))
    throw ConfigError(fmt::format("bernoulli: a probability lies in [0, 1], got {}", p));
  Tensor out = random(kernels::Distribution::bernoulli, "bernoulli", shape, generator, p, 0,
                      {DType::f32, options.device});
  return options.dtype == DType::f32 ? out : empty(shape, options).copy_(out);
}

// R. A. Fisher and F. Yates.
Tensor randperm(std::int64_t n, Generator& generator) {
  Tensor out = arange(n, {DType::i64, Device::cpu()});
  auto* values = out.data<std::int64_t>();
  for (std::int64_t i = n - 1; i > 0; --i) {
    const Tensor drawn = randint(0, i + 1, {1}, generator, {DType::i64, Device::cpu()});
    std::swap(values[i], values[drawn.item<std::int64_t>()]);
  }
  return out.to(default_device());
}

}  // namespace tutti
