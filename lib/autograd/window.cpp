#include "autograd/window.h"

#include <fmt/format.h>

#include "tutti/core/error.h"

namespace tutti::autograd {
namespace {

void check_at_least(const char* op, const char* what, Size2d size, std::int64_t least) {
  if (size.height >= least && size.width >= least) return;
  throw ConfigError(fmt::format("{}: the {} must be at least {}, got {}", op, what, least, size.str()));
}

}  // namespace

kernels::Window slide(const char* op, const Tensor& x, Size2d kernel, Size2d stride, Size2d padding,
                      Size2d dilation) {
  check_at_least(op, "kernel", kernel, 1);
  check_at_least(op, "stride", stride, 1);
  check_at_least(op, "padding", padding, 0);
  check_at_least(op, "dilation", dilation, 1);
  if (x.rank() != 4) throw ShapeError(fmt::format("{}: x is [n, c, h, w], got {}", op, x.shape().str()));
  const auto along = [](std::int64_t in, std::int64_t k, std::int64_t s, std::int64_t p, std::int64_t d) {
    const std::int64_t room = in + 2 * p - d * (k - 1) - 1;
    return kernels::WindowDim{in, room < 0 ? 0 : room / s + 1, k, s, p, d};
  };
  const kernels::Window window{
      along(x.size(2), kernel.height, stride.height, padding.height, dilation.height),
      along(x.size(3), kernel.width, stride.width, padding.width, dilation.width)};
  if (window.out() == 0) {
    throw ShapeError(fmt::format("{}: a kernel {}, dilated by {}, does not fit into x {} padded by {}", op,
                                 kernel.str(), dilation.str(), x.shape().str(), padding.str()));
  }
  return window;
}

}  // namespace tutti::autograd
