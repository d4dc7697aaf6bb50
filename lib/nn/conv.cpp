#include "tutti/nn/conv.h"

#include <fmt/format.h>

#include "nn/init.h"
#include "tutti/core/error.h"

namespace tutti::nn {

Conv2d::Conv2d(std::int64_t in, std::int64_t out, Size2d kernel, Generator generator,
               const Conv2dOptions& options)
    : options_{options.stride, options.padding, options.dilation, options.groups} {
  check_sizes("Conv2d", {in, out, kernel.height, kernel.width, options.groups});
  if (in % options.groups != 0 || out % options.groups != 0) {
    throw ConfigError(
        fmt::format("Conv2d: {} groups must divide {} channels in and {} out", options.groups, in, out));
  }
  const Shape shape{out, in / options.groups, kernel.height, kernel.width};
  const std::int64_t fan_in = shape[1] * shape[2] * shape[3];
  weight = uniform_parameter(shape, fan_in, generator);
  if (options.bias) bias = uniform_parameter({out}, fan_in, generator);
}

Tensor Conv2d::forward(const Tensor& x) { return conv2d(x, weight, bias, options_); }

void Conv2d::visit(MemberVisitor& visitor) {
  visitor.parameter("weight", weight);
  visitor.parameter("bias", bias);
}

}  // namespace tutti::nn
