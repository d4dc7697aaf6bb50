#include "tutti/autograd/conv.h"

#include <fmt/format.h>

#include "autograd/mixed.h"
#include "autograd/optional.h"
#include "autograd/window.h"
#include "kernels/conv.h"
#include "tensor/checks.h"
#include "tutti/autograd/float32_matmul.h"
#include "tutti/autograd/node.h"
#include "tutti/autograd/reduce.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using autograd::address;
using autograd::dense;
using autograd::Gradients;
using autograd::Needs;
using autograd::Saved;
using autograd::widened;

kernels::ConvArgs checked(const Tensor& x, const Tensor& weight, const Tensor& bias,
                          const ConvOptions& options) {
  check_floating_point("conv2d", x);
  check_alike("conv2d", x, weight);
  if (weight.rank() != 4) {
    throw ShapeError(
        fmt::format("conv2d: the weight is [out, in / groups, kh, kw], got {}", weight.shape().str()));
  }
  const auto window = autograd::slide("conv2d", x, {weight.size(2), weight.size(3)}, options.stride,
                                      options.padding, options.dilation);
  const std::int64_t in = x.size(1), out = weight.size(0), groups = options.groups;
  if (groups < 1 || in % groups != 0 || out % groups != 0) {
    throw ConfigError(fmt::format(
        "conv2d: {} groups must divide the {} channels of x and the {} of the weight", groups, in, out));
  }
  if (in == 0) throw ShapeError(fmt::format("conv2d: x needs a channel at least, got {}", x.shape().str()));
  if (weight.size(1) != in / groups) {
    throw ShapeError(fmt::format("conv2d: x {} in {} group(s) needs a weight [out, {}, kh, kw], got {}",
                                 x.shape().str(), groups, in / groups, weight.shape().str()));
  }
  if (bias.defined()) check_alike("conv2d", x, bias);
  autograd::check_parameter("conv2d", "bias", x, out, bias);
  return {x.dtype(),
          x.size(0),
          groups,
          in / groups,
          out / groups,
          window,
          float32_matmul_precision() == Float32Precision::tf32};
}

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvOptions& options) {
  if (const auto dtype = autograd::product_dtype({&x, &weight, &bias})) {
    return conv2d(to(x, *dtype), to(weight, *dtype), autograd::converted(bias, *dtype), options);
  }
  const auto args = checked(x, weight, bias, options);
  const Autocast no_autocast(std::nullopt);  // products within are in f32
  if (autograd::is_widened(x))
    return to(conv2d(widened(x), widened(weight), widened(bias), options), x.dtype());
  const Tensor images = dense(x), kernel = dense(weight), shift = dense(bias);
  Tensor out =
      empty({args.n, args.groups * args.out, args.window.y.out, args.window.x.out}, {x.dtype(), x.device()});
  if (out.numel() != 0) {
    kernels::launch<kernels::Conv2d>(x.device(), args, images.raw_data(), kernel.raw_data(), address(shift),
                                     out.raw_data());
  }
  return autograd::record("conv2d", out, {x, weight, bias},
                          [args, i = Saved(images), w = Saved(kernel)](const Tensor& gradient, Needs needs) {
                            const Tensor g = dense(gradient);
                            Gradients result(3);
                            if (needs[0]) result[0] = g.numel() == 0 ? zeros_like(*i) : empty_like(*i);
                            if (needs[1]) result[1] = args.n == 0 ? zeros_like(*w) : empty_like(*w);
                            if (needs[2]) result[2] = sum(g, {0, 2, 3});
                            if (g.numel() == 0 || !(needs[0] || needs[1])) return result;
                            kernels::launch<kernels::Conv2dGrad>(g.device(), args, g.raw_data(),
                                                                 i->raw_data(), w->raw_data(),
                                                                 address(result[0]), address(result[1]));
                            return result;
                          });
}

}  // namespace tutti
