// Window of kernels/window.h for threads of a GPU, in 32 bits: no image has 2^31 elements.
#pragma once

#include <algorithm>
#include <limits>
#include <string>

#include "kernels/cuda/divisor.cuh"
#include "kernels/cuda/grid.cuh"
#include "kernels/window.h"
#include "tutti/core/error.h"

namespace tutti::kernels {

inline constexpr std::int64_t most_indices = std::numeric_limits<std::int32_t>::max();

struct GpuWindowDim {
  int in, out, kernel, stride, padding, dilation;
  Divisor by_stride;

  explicit GpuWindowDim(const WindowDim& d)
      : in(static_cast<int>(d.in)),
        out(static_cast<int>(d.out)),
        kernel(static_cast<int>(d.kernel)),
        stride(static_cast<int>(d.stride)),
        padding(static_cast<int>(d.padding)),
        dilation(static_cast<int>(d.dilation)),
        by_stride(d.stride) {}

  // The input that output o has under element 0 of its window, which may lie outside.
  __device__ int begin(int o) const { return o * stride - padding; }

  // Undilated windows: the outputs [first_over(i), end_over(i)) cover input i.
  __device__ int first_over(int i) const {
    return i + padding < kernel
               ? 0
               : static_cast<int>(by_stride.divide(static_cast<unsigned>(i + padding - kernel))) + 1;
  }
  __device__ int end_over(int i) const {
    return min(static_cast<int>(by_stride.divide(static_cast<unsigned>(i + padding))) + 1, out);
  }

  // The output whose element k is input i; -1 where there is none.
  __device__ int over(int i, int k) const {
    const int from = i + padding - k * dilation;
    if (from < 0) return -1;
    unsigned rest;
    const auto o = static_cast<int>(by_stride.divide(static_cast<unsigned>(from), rest));
    return rest == 0 && o < out ? o : -1;
  }
};

// An element of one of many planes.
struct PlanePlace {
  int plane, y, x;
};

// Finds elements of planes of [rows, columns], numbered through.
struct Planes {
  Divisor size, columns;

  Planes(std::int64_t y, std::int64_t x)
      : size(std::max<std::int64_t>(1, y * x)), columns(std::max<std::int64_t>(1, x)) {}

  __device__ PlanePlace operator()(std::uint32_t i) const {
    std::uint32_t of_plane, x;
    const std::uint32_t plane = size.divide(i, of_plane), y = columns.divide(of_plane, x);
    return {static_cast<int>(plane), static_cast<int>(y), static_cast<int>(x)};
  }
};

struct GpuWindow {
  GpuWindowDim y, x;
  Planes ins, outs;

  explicit GpuWindow(const Window& w) : y(w.y), x(w.x), ins(w.y.in, w.x.in), outs(w.y.out, w.x.out) {}

  __device__ int in() const { return y.in * x.in; }
  __device__ int out() const { return static_cast<int>(outs.size.by()); }
};

// An index, and what is added to one, fit 31 bits.
inline void check_sizes(const char* op, const Window& w) {
  const auto reach = [](const WindowDim& d) { return d.in + 2 * d.padding + d.kernel * d.dilation; };
  if (std::max({w.in(), w.out(), w.kernel(), reach(w.y), reach(w.x), w.y.stride, w.x.stride}) <= most_indices)
    return;
  throw ShapeError(std::string(op) + ": on a GPU an image has at most 2^31 - 1 elements, got " +
                   std::to_string(w.y.in) + " x " + std::to_string(w.x.in));
}

}  // namespace tutti::kernels
