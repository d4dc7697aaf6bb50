#include "nn/init.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti::nn {

Tensor uniform_parameter(const Shape& shape, std::int64_t fan_in, Generator& generator) {
  const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
  return rand(shape, generator, -bound, bound).set_requires_grad();
}

Tensor normal_parameter(const Shape& shape, double stddev, Generator& generator) {
  return randn(shape, generator, 0, stddev).set_requires_grad();
}

Tensor constant_parameter(const Shape& shape, double value) { return full(shape, value).set_requires_grad(); }

void check_sizes(const char* module, std::initializer_list<std::int64_t> sizes) {
  if (std::ranges::all_of(sizes, [](std::int64_t size) { return size > 0; })) return;
  throw ConfigError(fmt::format("{}: sizes must be positive, got {}", module, fmt::join(sizes, ", ")));
}

void check_probability(const char* module, double p) {
  if (p >= 0 && p <= 1) return;
  throw ConfigError(fmt::format("{}: a probability lies in [0, 1], got {}", module, p));
}

}  // namespace tutti::nn
