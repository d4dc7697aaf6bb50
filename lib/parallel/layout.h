// Tensors side by side in one piece of memory.
#pragma once

#include <cstdint>
#include <vector>

#include "tutti/tensor/sharded_tensor.h"

namespace tutti::parallel {

// Cuts `parameters` into buckets of neighbours. Each has one dtype, is on one device and, unless a single parameter is larger, at most
// `first_bytes` (the first) or `bytes`.
std::vector<NamedTensors> plan_buckets(const NamedTensors& parameters, std::size_t first_bytes,
                                       std::size_t bytes);

// Where each of `tensors` stands in a flat buffer that `shares` ranks divide evenly.
struct Layout {
  // Where a share starts within a tensor, the sums of optim::grad_norm start anew too, so that a rank can sum its own.
  // Tensors start at cache lines.
  Layout(const NamedTensors& tensors, int shares);

  std::vector<std::int64_t> offsets;  // in elements
  std::int64_t share = 0;
  std::int64_t total = 0;

  // That of tensor number `tensor`, with elements of `size` bytes.
  Sharding sharding(std::size_t tensor, std::size_t size) const {
    const auto bytes = static_cast<std::int64_t>(size);
    return {offsets[tensor] * bytes, share * bytes};
  }

 private:
  bool place(const NamedTensors& tensors, int shares);
};

}  // namespace tutti::parallel
