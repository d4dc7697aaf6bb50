// Convolution whose groups have one channel: there is no product to make of it.
#pragma once

#include "kernels/conv.h"
#include "kernels/cuda/block.cuh"
#include "kernels/cuda/pack.cuh"
#include "kernels/cuda/window.cuh"

namespace tutti::kernels {

inline constexpr unsigned depthwise_threads = 256;

// A thread for each output of `count`; images of `groups`, results of groups * multiplier planes.
template <typename T>
__global__ void depthwise_kernel(const GpuWindow w, const Divisor channels, const Divisor multiplier,
                                 const std::uint32_t count, const T* __restrict__ x,
                                 const T* __restrict__ weight, const T* __restrict__ bias, T* out) {
  using C = Arithmetic<T>;
  const std::uint32_t o = blockIdx.x * depthwise_threads + threadIdx.x;
  if (o >= count) return;
  const PlanePlace p = w.outs(o);
  std::uint32_t channel;
  channels.divide(static_cast<unsigned>(p.plane), channel);
  const T* plane = x + std::int64_t{multiplier.divide(static_cast<unsigned>(p.plane))} * w.in();
  const T* factor = weight + std::int64_t{channel} * w.y.kernel * w.x.kernel;
  C sum = bias ? static_cast<C>(bias[channel]) : C(0);
  int y = w.y.begin(p.y);
  for (int i = 0; i < w.y.kernel; ++i, y += w.y.dilation) {
    const bool has_row = y >= 0 && y < w.y.in;
    int column = w.x.begin(p.x);
    for (int j = 0; j < w.x.kernel; ++j, column += w.x.dilation, ++factor) {
      if (has_row && column >= 0 && column < w.x.in)
        sum += static_cast<C>(*factor) * static_cast<C>(plane[y * w.x.in + column]);
    }
  }
  out[o] = T(sum);
}

// A thread for each of `count` inputs.
template <typename T>
__global__ void depthwise_grad_kernel(const GpuWindow w, const Divisor groups, const int multiplier,
                                      const std::uint32_t count, const T* __restrict__ g,
                                      const T* __restrict__ weight, T* dx) {
  using C = Arithmetic<T>;
  const std::uint32_t at = blockIdx.x * depthwise_threads + threadIdx.x;
  if (at >= count) return;
  const PlanePlace p = w.ins(at);
  std::uint32_t group;
  groups.divide(static_cast<unsigned>(p.plane), group);
  const int taps = w.y.kernel * w.x.kernel;
  C sum = 0;
  for (int o = 0; o < multiplier; ++o) {
    const T* plane = g + (std::int64_t{p.plane} * multiplier + o) * w.out();
    const T* factor = weight + (std::int64_t{group} * multiplier + o) * taps;
    for (int i = 0; i < w.y.kernel; ++i) {
      const int y = w.y.over(p.y, i);
      if (y < 0) continue;
      for (int j = 0; j < w.x.kernel; ++j) {
        const int x = w.x.over(p.x, j);
        if (x >= 0)
          sum += static_cast<C>(factor[i * w.x.kernel + j]) * static_cast<C>(plane[y * w.x.out + x]);
      }
    }
  }
  dx[at] = T(sum);
}

// A block for each tap of each channel of the weight, and each unit of `each` of the `n` images: sums [units, channels, taps].
template <typename T>
__global__ void depthwise_weight_kernel(const GpuWindow w, const std::int64_t n, const std::int64_t each,
                                        const int channels, const int multiplier, const T* __restrict__ g,
                                        const T* __restrict__ x, Arithmetic<T>* sums) {
  using C = Arithmetic<T>;
  constexpr int of_a_part = 8;  // products that are summed before f64 takes over
  const unsigned taps = static_cast<unsigned>(w.y.kernel * w.x.kernel);
  const unsigned tap = blockIdx.x % taps, rest = blockIdx.x / taps;
  const int channel = static_cast<int>(rest) % channels, unit = static_cast<int>(rest) / channels;
  const int ky = static_cast<int>(tap) / w.x.kernel, kx = static_cast<int>(tap) % w.x.kernel;
  const std::int64_t first = unit * each, images = min(each, n - first);
  const auto count = static_cast<std::uint32_t>(images * w.out());
  double sum = 0;
  for (std::uint32_t i = threadIdx.x; i < count;) {
    C part = 0;
    for (int k = 0; k < of_a_part && i < count; ++k, i += depthwise_threads) {
      const PlanePlace p = w.outs(i);
      const int y = w.y.begin(p.y) + ky * w.y.dilation, column = w.x.begin(p.x) + kx * w.x.dilation;
      if (y < 0 || y >= w.y.in || column < 0 || column >= w.x.in) continue;
      const std::int64_t image = first + p.plane;
      part += static_cast<C>(g[(image * channels + channel) * w.out() + p.y * w.x.out + p.x]) *
              static_cast<C>(
                  x[(image * (channels / multiplier) + channel / multiplier) * w.in() + y * w.x.in + column]);
    }
    sum += static_cast<double>(part);
  }
  sum = reduce_block<depthwise_threads>(sum, Sum{});
  if (threadIdx.x == 0) sums[blockIdx.x] = static_cast<C>(sum);
}

}  // namespace tutti::kernels
