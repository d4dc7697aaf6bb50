// What `tutti-bench checkpoint` saves: tensors of the sizes of a GPT's, with the moments of AdamW.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "tutti/comm/communicator.h"
#include "tutti/tensor/sharded_tensor.h"

namespace tutti::bench {

using TensorShapes = std::vector<std::pair<std::string, Shape>>;

// Of the parameters of a model that, with two moments each, has about `bytes` bytes of f32: blocks of width 1024, and an
// embedding for the rest.
TensorShapes gpt_shapes(std::size_t bytes);

// Of the moments of AdamW for these parameters.
TensorShapes moments_of(const TensorShapes& parameters);

// A part of a TrainState, of f32 tensors.
class SavedState {
 public:
  // Sharded: each rank has the same share of all of them, laid end to end.
  SavedState(const Communicator& comm, TensorShapes shapes, bool sharded);

  NamedTensors state_dict() const { return local(tensors_); }  // of this rank
  void load_state_dict(const NamedTensors& state) { load_shards(state); }
  ShardedTensors shards() const { return tensors_; }
  void load_shards(const NamedTensors& state);
  NamedTensors in_place() const { return local(tensors_); }
  void load_rest(const NamedTensors&) {}
  void loaded() {}

  // Writes numbers that are a function of `round`, the tensor and the place in it; and counts those that are others.
  void fill(std::uint64_t round);
  std::size_t count_wrong(std::uint64_t round) const;
  std::int64_t bytes() const;  // of the whole

 private:
  ShardedTensors tensors_;
};

}  // namespace tutti::bench
