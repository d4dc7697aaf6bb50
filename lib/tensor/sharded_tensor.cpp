#include "tutti/tensor/sharded_tensor.h"

#include <algorithm>

namespace tutti {

Sharding::Range Sharding::range(int rank, std::int64_t bytes) const {
  if (share == 0) return {0, bytes};
  const std::int64_t first = rank * share - offset;
  return {std::clamp<std::int64_t>(first, 0, bytes), std::clamp<std::int64_t>(first + share, 0, bytes)};
}

std::int64_t ShardedTensor::bytes() const {
  return shape.numel() * static_cast<std::int64_t>(size_of(local.dtype()));
}

ShardedTensors replicated(const NamedTensors& tensors) {
  ShardedTensors all;
  for (const auto& [name, tensor] : tensors) all.push_back({name, tensor.shape(), {}, tensor});
  return all;
}

NamedTensors local(const ShardedTensors& tensors) {
  NamedTensors parts;
  for (const auto& tensor : tensors) parts.push_back({tensor.name, tensor.local});
  return parts;
}

}  // namespace tutti
