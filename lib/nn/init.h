// How modules make their parameters.
#pragma once

#include <initializer_list>

#include "tutti/tensor/random.h"

namespace tutti::nn {

// Uniform in +-1 / sqrt(fan_in): what PyTorch's kaiming_uniform with a = sqrt(5) comes to.
Tensor uniform_parameter(const Shape& shape, std::int64_t fan_in, Generator& generator);
Tensor normal_parameter(const Shape& shape, double stddev, Generator& generator);
Tensor constant_parameter(const Shape& shape, double value);

// Throws ConfigError unless every size is positive.
void check_sizes(const char* module, std::initializer_list<std::int64_t> sizes);
// Throws ConfigError unless 0 <= p <= 1.
void check_probability(const char* module, double p);

}  // namespace tutti::nn
