/// \file
/// How a reduction combines elements.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tutti {

/// How elements are combined. `avg` is the sum times 1/n (floating point only). Integer sums and products
/// wrap. On bool, `sum` and `max` are "or", `prod` and `min` are "and". `min` and `max` keep a NaN.
enum class ReduceOp : std::uint8_t { sum, avg, min, max, prod };

/// "sum", "avg", ...
constexpr std::string_view name_of(ReduceOp op) {
  constexpr std::string_view names[] = {"sum", "avg", "min", "max", "prod"};
  return names[static_cast<std::size_t>(op)];
}

/// In which order a floating-point sum goes over the ranks.
enum class ReduceOrder : std::uint8_t {
  tree,  ///< that of the tree of core/tree.h, whatever the back end: ((0 + 1) + 2) + (3 + 4) on five ranks
  any,   ///< whichever the engine finds fastest: other bits on other engines and numbers of ranks
};

}  // namespace tutti
