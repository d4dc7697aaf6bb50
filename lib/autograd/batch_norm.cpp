#include "tutti/autograd/batch_norm.h"

#include <fmt/format.h>

#include <array>

#include "autograd/optional.h"
#include "kernels/batch_norm.h"
#include "tensor/checks.h"
#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/math.h"
#include "tutti/autograd/node.h"
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

// average = (1 - momentum) * average + momentum * value
void move_towards(const Tensor& average, const Tensor& value, double momentum) {
  if (!average.defined()) return;
  Tensor moved = average.detach();
  moved.mul_(1 - momentum).add_(to(value, average.dtype()), momentum);
}

// Moves the running averages and gives 1 / sqrt(variance + eps).
Tensor averaged(const kernels::BatchNormArgs& args, const Tensor& mean, const Tensor& variance,
                const Tensor& running_mean, const Tensor& running_var, const BatchNormOptions& options) {
  const bool both = running_mean.defined() && running_var.defined();
  const bool in_one_pass = both ? running_mean.dtype() == running_var.dtype() &&
                                      running_mean.is_contiguous() && running_var.is_contiguous()
                                : !running_mean.defined() && !running_var.defined();
  if (in_one_pass) {
    const Tensor rstd = empty_like(mean);
    const kernels::BatchAverages::Args averages{
        mean.raw_data(),       variance.raw_data(), options.eps,
        rstd.raw_data(),       options.momentum,    both ? running_mean.dtype() : mean.dtype(),
        address(running_mean), address(running_var)};
    if (kernels::launch<kernels::BatchAverages>(mean.device(), args, averages)) {
      if (both) running_mean.storage()->bump_version(), running_var.storage()->bump_version();
      return rstd;
    }
  }
  const auto count = static_cast<double>(args.n * args.size);
  move_towards(running_mean, mean, options.momentum);
  move_towards(running_var, variance * (count / (count - 1)), options.momentum);
  return rsqrt(variance + options.eps);
}

kernels::BatchNormArgs checked(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                               const Tensor& weight, const Tensor& bias, bool training) {
  check_floating_point("batch_norm", x);
  if (x.rank() < 2) throw ShapeError(fmt::format("batch_norm: x is [n, c, ...], got {}", x.shape().str()));
  const std::int64_t channels = x.size(1);
  const auto check = [&](const char* which, const Tensor& one) {
    autograd::check_parameter("batch_norm", which, x, channels, one);
  };
  check("running mean", running_mean);
  check("running variance", running_var);
  check("weight", weight);
  check("bias", bias);
  const std::int64_t size = x.numel() == 0 ? 0 : x.numel() / (x.size(0) * channels);
  if (training && x.size(0) * size == 1) {
    throw ShapeError(
        fmt::format("batch_norm: x {} has a single value per channel, which has no variance to train with",
                    x.shape().str()));
  }
  if (!training && !(running_mean.defined() && running_var.defined())) {
    throw ConfigError("batch_norm: outside of training the running averages are needed");
  }
  return {x.dtype(), x.size(0), channels, size};
}

}  // namespace

Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                  const Tensor& weight, const Tensor& bias, const BatchNormOptions& options) {
  auto args = checked(x, running_mean, running_var, weight, bias, options.training);
  const Tensor scale = widened(dense(weight)), shift = widened(dense(bias));
  const Tensor images = autograd::is_widened(x) ? widened(dense(x)) : dense(x);
  args.dtype = images.dtype();
  // Of statistics and parameters.
  const TensorOptions like{size_of(args.dtype) == 2 ? DType::f32 : args.dtype, x.device()};
  Tensor mean, variance, rstd;
  if (options.training && x.numel() != 0) {
    mean = empty({args.channels}, like);
    variance = empty({args.channels}, like);
    kernels::launch<kernels::BatchStatistics>(x.device(), args, images.raw_data(), mean.raw_data(),
                                              variance.raw_data());
    rstd = averaged(args, mean, variance, running_mean, running_var, options);
  } else {
    mean = widened(dense(running_mean));
    variance = widened(dense(running_var));
  }
  if (x.numel() == 0) return x * 1.0;
  if (!rstd.defined()) rstd = rsqrt(variance + options.eps);
  Tensor out = empty(x.shape(), {args.dtype, x.device()});
  kernels::launch<kernels::BatchNorm>(x.device(), args, images.raw_data(), mean.raw_data(), rstd.raw_data(),
                                      address(scale), address(shift), out.raw_data());
  out = to(out, x.dtype());
  const auto dtype_of = [](const Tensor& one) { return one.defined() ? one.dtype() : DType::f32; };
  return autograd::record(
      "batch_norm", out, {x, weight, bias},
      [args, like, of_batch = options.training, i = Saved(images), m = Saved(mean), r = Saved(rstd),
       w = Saved(scale), dtypes = std::array{x.dtype(), dtype_of(weight), dtype_of(bias)}](
          const Tensor& gradient, Needs needs) {
        const Tensor g = to(autograd::dense(gradient), args.dtype);
        Gradients result(3);
        if (needs[0]) result[0] = empty(g.shape(), {args.dtype, g.device()});
        for (std::size_t k : {1, 2}) {
          if (needs[k]) result[k] = empty({args.channels}, like);
        }
        kernels::launch<kernels::BatchNormGrad>(g.device(), args, of_batch, g.raw_data(), i->raw_data(),
                                                m->raw_data(), r->raw_data(), address(*w), address(result[0]),
                                                address(result[1]), address(result[2]));
        for (std::size_t k = 0; k < 3; ++k) {
          if (result[k].defined()) result[k] = to(result[k], dtypes[k]);
        }
        return result;
      });
}

}  // namespace tutti
