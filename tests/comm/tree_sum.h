// The fixed binary tree, written down plainly, as a heap: node i has the children 2i and 2i + 1.
#pragma once

#include <bit>
#include <type_traits>
#include <vector>

#include "tutti/core/dtype.h"
#include "tutti/core/reduce_op.h"

namespace tutti::test {

// Values of very different magnitude, so that nearly every order gives other bits.
template <typename T>
T rough_value(int rank, std::size_t i) {
  std::uint64_t x = i * 0x9e3779b97f4a7c15u + static_cast<std::uint64_t>(rank) * 0xbf58476d1ce4e5b9u + 1;
  x ^= x >> 31;
  x *= 0x94d049bb133111ebu;
  x ^= x >> 29;
  const double unit = static_cast<double>(x >> 11) * 0x1p-53 - 0.5;
  const double magnitude = std::is_same_v<T, float16> ? 16.0 : 1e4;
  const double value = unit * (x % 3 == 0 ? magnitude : 1.0);
  if constexpr (std::is_same_v<T, double>)
    return value;
  else
    return static_cast<T>(static_cast<float>(value));
}

template <typename T>
T tree_sum(ReduceOp op, int ranks, std::size_t i) {
  using Acc = std::conditional_t<std::is_same_v<T, double>, double, float>;
  // The leaves are the last nodes. From the left, the last level comes first, then what is above it.
  const auto n = static_cast<std::size_t>(ranks);
  std::vector<Acc> node(2 * n);
  for (std::size_t rank = 0, at = std::bit_ceil(n); rank < n; ++rank, ++at) {
    if (at == 2 * n) at = n;
    node[at] = static_cast<Acc>(rough_value<T>(static_cast<int>(rank), i));
  }
  for (std::size_t at = n - 1; at > 0; --at) node[at] = node[2 * at] + node[2 * at + 1];
  if (op == ReduceOp::avg) node[1] *= Acc(1) / static_cast<Acc>(ranks);
  return static_cast<T>(node[1]);
}

}  // namespace tutti::test
