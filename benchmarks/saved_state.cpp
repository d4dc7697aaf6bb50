#include "benchmarks/saved_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "tutti/tensor/creation.h"

namespace tutti::bench {
namespace {

constexpr std::int64_t width = 1024, alignment = 64;

TensorShapes block_shapes(std::int64_t block) {
  const auto named = [&](const char* name) { return fmt::format("h.{}.{}", block, name); };
  return {{named("ln_1.weight"), {width}},
          {named("ln_1.bias"), {width}},
          {named("attn.c_attn.weight"), {3 * width, width}},
          {named("attn.c_attn.bias"), {3 * width}},
          {named("attn.c_proj.weight"), {width, width}},
          {named("attn.c_proj.bias"), {width}},
          {named("ln_2.weight"), {width}},
          {named("ln_2.bias"), {width}},
          {named("mlp.c_fc.weight"), {4 * width, width}},
          {named("mlp.c_fc.bias"), {4 * width}},
          {named("mlp.c_proj.weight"), {width, 4 * width}},
          {named("mlp.c_proj.bias"), {width}}};
}

std::int64_t elements(const TensorShapes& shapes) {
  std::int64_t sum = 0;
  for (const auto& [name, shape] : shapes) sum += shape.numel();
  return sum;
}

std::span<std::uint32_t> words(const Tensor& tensor) {
  return {static_cast<std::uint32_t*>(tensor.raw_data()), static_cast<std::size_t>(tensor.numel())};
}

std::uint32_t word_of(std::uint64_t round, std::size_t tensor, std::size_t place) {
  return static_cast<std::uint32_t>((place + 1) * 2654435761U + round * 40503 + tensor * 7);
}

}  // namespace

TensorShapes gpt_shapes(std::size_t bytes) {
  const std::int64_t parameters = static_cast<std::int64_t>(bytes / (3 * sizeof(float)));
  const std::int64_t blocks = parameters * 4 / 5 / elements(block_shapes(0));
  TensorShapes shapes;
  for (std::int64_t block = 0; block < blocks; ++block) {
    for (auto& one : block_shapes(block)) shapes.push_back(std::move(one));
  }
  const std::int64_t rest = (parameters - elements(shapes)) / width;
  shapes.insert(shapes.begin(), {"wte.weight", {std::max<std::int64_t>(rest, 1), width}});
  return shapes;
}

TensorShapes moments_of(const TensorShapes& parameters) {
  TensorShapes moments;
  for (const auto* moment : {"exp_avg", "exp_avg_sq"}) {
    for (const auto& [name, shape] : parameters)
      moments.emplace_back(fmt::format("{}.{}", moment, name), shape);
  }
  return moments;
}

SavedState::SavedState(const Communicator& comm, TensorShapes shapes, bool sharded) {
  const auto total = elements(shapes) * static_cast<std::int64_t>(sizeof(float));
  const std::int64_t ranks = comm.size(), unit = alignment * ranks;
  std::int64_t offset = 0;
  for (auto& [name, shape] : shapes) {
    ShardedTensor tensor{std::move(name), std::move(shape), {}, {}};
    if (sharded) tensor.sharding = {offset, (total + unit - 1) / unit * alignment};
    const auto range = tensor.sharding.range(comm.rank(), tensor.shape.numel() * 4);
    tensor.local = sharded ? empty({range.size() / 4}) : empty(tensor.shape);
    offset += tensor.shape.numel() * 4;
    tensors_.push_back(std::move(tensor));
  }
}

void SavedState::load_shards(const NamedTensors& state) { copy_by_name("saved state", state_dict(), state); }

void SavedState::fill(std::uint64_t round) {
  for (std::size_t t = 0; t < tensors_.size(); ++t) {
    const auto all = words(tensors_[t].local);
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = word_of(round, t, i);
  }
}

std::size_t SavedState::count_wrong(std::uint64_t round) const {
  std::size_t wrong = 0;
  for (std::size_t t = 0; t < tensors_.size(); ++t) {
    const auto all = words(tensors_[t].local);
    for (std::size_t i = 0; i < all.size(); ++i) wrong += all[i] != word_of(round, t, i);
  }
  return wrong;
}

std::int64_t SavedState::bytes() const {
  std::int64_t sum = 0;
  for (const auto& tensor : tensors_) sum += tensor.bytes();
  return sum;
}

}  // namespace tutti::bench
