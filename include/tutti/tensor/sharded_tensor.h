/// \file
/// Tensors of which each rank holds a part.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <vector>

#include "tutti/tensor/named_tensor.h"

namespace tutti {

/// Where the bytes of a tensor lie: it stands, row-major, at byte `offset` of an imaginary flat buffer, of which rank r
/// holds the bytes [r * share, (r + 1) * share). Where `share` is 0, every rank holds the whole.
struct Sharding {
  std::int64_t offset = 0;
  std::int64_t share = 0;

  struct Range {
    std::int64_t begin = 0, end = 0;  ///< in bytes of the tensor; equal where a rank has none of it
    std::int64_t size() const { return end - begin; }
    bool operator==(const Range&) const = default;
  };
  /// What rank `rank` holds of a tensor of `bytes` bytes.
  Range range(int rank, std::int64_t bytes) const;

  bool operator==(const Sharding&) const = default;
};

/// This rank's part of a tensor.
struct ShardedTensor {
  std::string name;
  Shape shape;  ///< of the whole
  Sharding sharding;
  /// The elements of `sharding.range(rank, ...)`: [n]; or the tensor itself where every rank holds the whole. A handle,
  /// which shares the storage.
  Tensor local;

  std::int64_t bytes() const;  ///< of the whole
};

using ShardedTensors = std::vector<ShardedTensor>;

/// Whole tensors, which are the same on every rank.
ShardedTensors replicated(const NamedTensors& tensors);
/// The local parts by name.
NamedTensors local(const ShardedTensors& tensors);

/// What can also tell and take the part of its state that this rank holds, without communication.
template <typename T>
concept ShardedStateful = requires(T& object, const T& constant, const NamedTensors& state) {
  { constant.shards() } -> std::convertible_to<ShardedTensors>;
  object.load_shards(state);
};

/// What can also be loaded by writing to the memory that its state is in, so that a checkpoint is read right into it.
/// `in_place` tells tensors of the state (their local parts, where `shards` tells of parts) for which that is all there
/// is to loading them. `load_rest` is called before they are written to, with those that are not going to be: it loads
/// them, or throws what load_state_dict would and changes nothing. `loaded` is called when all is there.
template <typename T>
concept InPlaceStateful = requires(T& object, const T& constant, const NamedTensors& rest) {
  { constant.in_place() } -> std::convertible_to<NamedTensors>;
  object.load_rest(rest);
  object.loaded();
};

}  // namespace tutti
