/// \file
/// Random numbers that are a pure function of (seed, stream, position): Philox4x32-10, the same on every
/// device. J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tutti/tensor/tensor.h"

namespace tutti {

/// A position in a random stream. Copies share the position; each draw advances it.
class Generator {
 public:
  struct State {
    std::uint64_t seed = 0;
    std::uint64_t stream = 0;
    std::uint64_t position = 0;  ///< in blocks of four 32-bit numbers
  };

  explicit Generator(std::uint64_t seed, std::uint64_t stream = 0)
      : state_(std::make_shared<State>(State{seed, stream, 0})) {}

  const State& state() const { return *state_; }
  void set_state(const State& state) { *state_ = state; }

  /// Takes `blocks` blocks: returns the state that makes them, and moves behind them.
  State advance(std::uint64_t blocks);

 private:
  std::shared_ptr<State> state_;
};

/// A generator and the dotted name of the member that holds it.
struct NamedGenerator {
  std::string name;
  Generator generator;
};

using NamedGenerators = std::vector<NamedGenerator>;

/// Uniform in [low, high); f32 with 24 random bits, f64 with 53.
Tensor rand(const Shape& shape, Generator& generator, double low = 0, double high = 1,
            const TensorOptions& options = {});
/// Normal, by Box and Muller.
Tensor randn(const Shape& shape, Generator& generator, double mean = 0, double stddev = 1,
             const TensorOptions& options = {});
/// Integers, uniform in [low, high). \throws ConfigError when the range is empty or wider than 2^32.
Tensor randint(std::int64_t low, std::int64_t high, const Shape& shape, Generator& generator,
               const TensorOptions& options = {.dtype = DType::i64});
/// 1 with probability `p`, else 0. \throws ConfigError for p outside [0, 1].
Tensor bernoulli(double p, const Shape& shape, Generator& generator, const TensorOptions& options = {});
/// 0 ... n-1 in random order, i64.
Tensor randperm(std::int64_t n, Generator& generator);

}  // namespace tutti
