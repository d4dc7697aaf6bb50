#include "tutti/autograd/pool.h"

#include <fmt/format.h>

#include <limits>

#include "autograd/optional.h"
#include "autograd/window.h"
#include "kernels/pool.h"
#include "tensor/checks.h"
#include "tutti/autograd/node.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {
namespace {

using autograd::Gradients;
using autograd::Needs;
using autograd::Saved;

kernels::Window checked(const char* op, const Tensor& x, Size2d window, const PoolOptions& options) {
  check_floating_point(op, x);
  const Size2d padding = options.padding;
  if (2 * padding.height > window.height || 2 * padding.width > window.width) {
    throw ConfigError(fmt::format("{}: the padding is at most half of the window {}, got {}", op,
                                  window.str(), padding.str()));
  }
  return autograd::slide(op, x, window, options.stride == Size2d(0) ? window : options.stride, padding, 1);
}

Tensor results(const Tensor& x, const kernels::Window& slide, DType dtype) {
  return empty({x.size(0), x.size(1), slide.y.out, slide.x.out}, {dtype, x.device()});
}

}  // namespace

Tensor max_pool2d(const Tensor& x, Size2d window, const PoolOptions& options) {
  const auto slide = checked("max_pool2d", x, window, options);
  if (autograd::is_widened(x)) return to(max_pool2d(to(x, DType::f32), window, options), x.dtype());
  if (slide.in() > std::numeric_limits<std::int32_t>::max()) {
    throw ShapeError(fmt::format("max_pool2d: an image has at most 2^31 - 1 elements, got {} x {}",
                                 slide.y.in, slide.x.in));
  }
  const Tensor dense = contiguous(x.detach());
  Tensor out = results(x, slide, x.dtype());
  const Tensor index = results(x, slide, DType::i32);
  const std::int64_t planes = x.size(0) * x.size(1);
  kernels::launch<kernels::MaxPool2d>(x.device(), x.dtype(), slide, planes, dense.raw_data(), out.raw_data(),
                                      index.data<std::int32_t>());
  return autograd::record(
      "max_pool2d", out, {x},
      [slide, planes, shape = x.shape(), at = Saved(index)](const Tensor& gradient, Needs) {
        const Tensor g = contiguous(gradient);
        Tensor result = empty(shape, {g.dtype(), g.device()});
        kernels::launch<kernels::MaxPool2dGrad>(g.device(), g.dtype(), slide, planes, g.raw_data(),
                                                at->data<std::int32_t>(), result.raw_data());
        return Gradients{result};
      });
}

Tensor avg_pool2d(const Tensor& x, Size2d window, const PoolOptions& options) {
  const auto slide = checked("avg_pool2d", x, window, options);
  if (autograd::is_widened(x)) return to(avg_pool2d(to(x, DType::f32), window, options), x.dtype());
  const Tensor dense = contiguous(x.detach());
  Tensor out = results(x, slide, x.dtype());
  const std::int64_t planes = x.size(0) * x.size(1);
  kernels::launch<kernels::AvgPool2d>(x.device(), x.dtype(), slide, planes, dense.raw_data(), out.raw_data());
  return autograd::record("avg_pool2d", out, {x},
                          [slide, planes, shape = x.shape()](const Tensor& gradient, Needs) {
                            const Tensor g = contiguous(gradient);
                            Tensor result = empty(shape, {g.dtype(), g.device()});
                            kernels::launch<kernels::AvgPool2dGrad>(g.device(), g.dtype(), slide, planes,
                                                                    g.raw_data(), result.raw_data());
                            return Gradients{result};
                          });
}

}  // namespace tutti
