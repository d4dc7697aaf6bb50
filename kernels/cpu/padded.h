// Images between zeros, so that no window of a convolution reaches outside, and read by whole vectors.
#pragma once

#include <cstdint>

#include "kernels/conv.h"
#include "kernels/cpu/vector.h"

namespace tutti::kernels {

inline std::int64_t whole(std::int64_t n, std::int64_t of) { return (n + of - 1) / of * of; }

// `count` elements that follow one another.
void copy_row(const float* from, std::int64_t count, float* to);

// Of a stride s, the columns 0, s, 2 s, ... of a row stand first, then 1, s + 1, ...: what neighbouring windows have at one
// place are neighbours.
class Padded {
 public:
  // `channels` planes of y.in x x.in, for y.out x x.out windows.
  Padded(std::int64_t channels, const WindowDim& y, const WindowDim& x)
      : channels_(channels),
        y_(y),
        x_(x),
        height_(y.out * y.stride + y.kernel - 1),
        part_(whole(x.out, lanes) + (x.kernel - 1) / x.stride + 1) {}

  std::int64_t size() const { return channels_ * plane(); }

  // Of a window's element (c, ky, kx) the one that the first output has; the next one along x is its neighbour.
  std::int64_t at(std::int64_t c, std::int64_t ky, std::int64_t kx) const {
    return c * plane() + ky * width() + kx % x_.stride * part_ + kx / x_.stride;
  }
  // From there to the one of the next row of outputs.
  std::int64_t next_row() const { return y_.stride * width(); }

  // The planes to `to`, which has its zeros already.
  void copy(const float* from, float* to) const;

 private:
  std::int64_t width() const { return x_.stride * part_; }
  std::int64_t plane() const { return height_ * width(); }

  std::int64_t channels_;
  WindowDim y_, x_;
  std::int64_t height_, part_;
};

}  // namespace tutti::kernels
