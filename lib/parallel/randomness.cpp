#include "parallel/randomness.h"

namespace tutti::parallel {
namespace {

constexpr std::uint64_t blocks = std::uint64_t{1} << 32;

}  // namespace

Randomness::Randomness(const nn::Module& model) : generators_(model.generators()) {
  for (const auto& [name, generator] : generators_) {
    auto state = generator.state();
    streams_.push_back(state.stream);
  }
  // What was drawn to initialise the model is not drawn again. A generator that has several names moves once.
  for (auto& [name, generator] : generators_) {
    auto state = generator.state();
    state.position = (state.position + blocks - 1) / blocks * blocks;
    generator.set_state(state);
  }
}

void Randomness::begin(int v) {
  for (std::size_t i = 0; i < generators_.size(); ++i) {
    auto& generator = generators_[i].generator;
    auto state = generator.state();
    state.stream = streams_[i] + (static_cast<std::uint64_t>(v) << 32);
    state.position -= state.position % blocks;
    generator.set_state(state);
  }
}

void Randomness::next_step() {
  std::vector<std::uint64_t> positions;
  for (const auto& [name, generator] : generators_) {
    const auto position = generator.state().position;
    positions.push_back(position - position % blocks + blocks);
  }
  for (std::size_t i = 0; i < generators_.size(); ++i) {
    auto state = generators_[i].generator.state();
    state.position = positions[i];
    generators_[i].generator.set_state(state);
  }
}

}  // namespace tutti::parallel
