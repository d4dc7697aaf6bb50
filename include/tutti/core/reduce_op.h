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

}  // namespace tutti
