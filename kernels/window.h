// A window that slides over images.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tutti::kernels {

// Along one dimension: output o covers inputs o * stride - padding + k * dilation, for k in [0, kernel).
struct WindowDim {
  std::int64_t in, out, kernel, stride, padding, dilation;

  std::int64_t input(std::int64_t o, std::int64_t k) const { return o * stride - padding + k * dilation; }
  // The outputs whose element k lies within the input: [first_inside(k), end_inside(k)).
  std::int64_t first_inside(std::int64_t k) const {
    const std::int64_t before = padding - k * dilation;
    return std::clamp<std::int64_t>(before <= 0 ? 0 : (before + stride - 1) / stride, 0, out);
  }
  std::int64_t end_inside(std::int64_t k) const {
    const std::int64_t room = in - 1 + padding - k * dilation;
    return std::clamp<std::int64_t>(room < 0 ? 0 : room / stride + 1, first_inside(k), out);
  }
};

struct Window {
  WindowDim y, x;

  std::int64_t in() const { return y.in * x.in; }
  std::int64_t out() const { return y.out * x.out; }
  std::int64_t kernel() const { return y.kernel * x.kernel; }
};

}  // namespace tutti::kernels
