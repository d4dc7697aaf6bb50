// The random numbers of a model's generators, as a function of the step and the logical rank.
#pragma once

#include <cstdint>
#include <vector>

#include "tutti/nn/module.h"

namespace tutti::parallel {

// A generator draws from stream (its own + 2^32 v), from position 2^32 * step on: each step has 2^34 numbers. The
// step is that of the generator's position, so whoever saves and restores that needs to know nothing more.
class Randomness {
 public:
  // Streams are those that the generators have now.
  explicit Randomness(const nn::Module& model);

  // Before the micro-batch of logical rank `v`.
  void begin(int v);
  // Behind all micro-batches of a step.
  void next_step();

 private:
  NamedGenerators generators_;
  std::vector<std::uint64_t> streams_;
};

}  // namespace tutti::parallel
