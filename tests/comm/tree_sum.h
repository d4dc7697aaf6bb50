// The fixed binary tree, written down plainly: leaves over the next power of two, absent ones left out.
#pragma once

#include <bit>
#include <type_traits>
#include <vector>

#include "tutti/core/dtype.h"
#include "tutti/core/reduce_op.h"

namespace tutti::testing {

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
  std::vector<Acc> level;
  for (int rank = 0; rank < ranks; ++rank) level.push_back(static_cast<Acc>(rough_value<T>(rank, i)));
  while (level.size() > 1) {
    std::vector<Acc> above;
    for (std::size_t j = 0; j < level.size(); j += 2) {
      above.push_back(j + 1 < level.size() ? level[j] + level[j + 1] : level[j]);
    }
    level = above;
  }
  if (op == ReduceOp::avg) level[0] *= Acc(1) / static_cast<Acc>(ranks);
  return static_cast<T>(level[0]);
}

}  // namespace tutti::testing
