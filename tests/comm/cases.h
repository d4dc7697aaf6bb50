// Inputs of the conformance suite, and their exact results.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tutti/comm/communicator.h"

namespace tutti::test {

// Small values that every dtype holds, and whose sums and products over 8 ranks every dtype but u8 and bool
// holds exactly; those two wrap and saturate.
template <typename T>
T value_of(int rank, std::size_t i) {
  const auto small = static_cast<int>((i * 7 + static_cast<std::size_t>(rank) * 3 + i / 5) % 3);
  if constexpr (std::is_same_v<T, bool>)
    return small == 1;
  else if constexpr (std::is_same_v<T, std::uint8_t>)
    return static_cast<T>(small + 1);
  else
    return static_cast<T>(static_cast<float>(small - 1));
}

template <typename T>
using Elements = std::vector<std::conditional_t<std::is_same_v<T, bool>, std::uint8_t, T>>;

// vector<bool> is no buffer: bools are kept in bytes.
template <typename T>
BufferView view(Elements<T>& elements) {
  return {elements.data(), elements.size(), dtype_of<T>};
}

template <typename T>
Elements<T> input_of(int rank, std::size_t count, std::size_t first = 0) {
  Elements<T> elements(count);
  for (std::size_t i = 0; i < count; ++i) elements[i] = value_of<T>(rank, first + i);
  return elements;
}

// The reduction in plain arithmetic: exact, so its order does not matter.
template <typename T>
auto reduced(ReduceOp op, int ranks, std::size_t i) -> typename Elements<T>::value_type {
  double result = static_cast<double>(static_cast<float>(value_of<T>(0, i)));
  for (int rank = 1; rank < ranks; ++rank) {
    const auto value = static_cast<double>(static_cast<float>(value_of<T>(rank, i)));
    switch (op) {
      case ReduceOp::sum:
      case ReduceOp::avg:
        result += value;
        break;
      case ReduceOp::min:
        result = std::min(result, value);
        break;
      case ReduceOp::max:
        result = std::max(result, value);
        break;
      case ReduceOp::prod:
        result *= value;
        break;
    }
  }
  if constexpr (std::is_same_v<T, bool>)
    return result != 0;
  else if constexpr (std::is_integral_v<T>)
    return static_cast<T>(static_cast<std::int64_t>(result));
  else if constexpr (std::is_same_v<T, double>)
    return op == ReduceOp::avg ? result * (1.0 / ranks) : result;
  else
    return static_cast<T>(op == ReduceOp::avg
                              ? static_cast<float>(result) * (1.0f / static_cast<float>(ranks))
                              : static_cast<float>(result));
}

}  // namespace tutti::test
