// Images unfolded into one column for each output, of all that its window covers; several images may share a matrix of columns.
#pragma once

#include <algorithm>

#include "kernels/conv.h"
#include "kernels/cuda/pack.cuh"
#include "kernels/cuda/window.cuh"

namespace tutti::kernels {

// Matrices that stand behind each other: number u, of rows `ld` apart, is of the images first + u * step + [0, each). Images
// from `end` on count as zeros.
struct ImageUnits {
  std::int64_t first, step, units, each, end, ld;
};

// A thread for each position of a row, in blocks of one row: what finding it costs is shared by all taps.
struct RowPosition {
  std::int64_t row, image;  // of all units' channels; image of the batch
  int channel;
  std::uint32_t position;  // within the row
  PlanePlace place;

  static constexpr unsigned threads = 256;

  __device__ RowPosition(const ImageUnits& u, const Planes& planes, unsigned blocks_of_row, int channels) {
    const unsigned number = blockIdx.x / blocks_of_row;
    const int unit = static_cast<int>(number) / channels;
    row = number;
    channel = static_cast<int>(number) - unit * channels;
    position = blockIdx.x % blocks_of_row * threads + threadIdx.x;
    place = planes(position);
    image = u.first + unit * u.step + place.plane;
  }
};

// columns [units, channels * kernel, ld]
template <typename T>
__global__ void unfold_kernel(const GpuWindow w, const ImageUnits u, const unsigned blocks_of_row,
                              const int channels, const T* __restrict__ x, T* columns) {
  const RowPosition at(u, w.outs, blocks_of_row, channels);
  if (at.place.plane >= u.each) return;
  const bool is_there = at.image < u.end;
  const T* plane = x + (at.image * channels + at.channel) * w.in();
  T* to = columns + at.row * w.y.kernel * w.x.kernel * u.ld + at.position;
  int y = w.y.begin(at.place.y);
  for (int i = 0; i < w.y.kernel; ++i, y += w.y.dilation) {
    const bool has_row = is_there && y >= 0 && y < w.y.in;
    int column = w.x.begin(at.place.x);
    for (int j = 0; j < w.x.kernel; ++j, column += w.x.dilation, to += u.ld)
      *to = has_row && column >= 0 && column < w.x.in ? static_cast<T>(plane[y * w.x.in + column]) : T(0);
  }
}

// The reverse: each element of the images sums what the columns have of it.
template <typename T>
__global__ void fold_kernel(const GpuWindow w, const ImageUnits u, const unsigned blocks_of_row,
                            const int channels, const T* __restrict__ columns, T* dx) {
  const RowPosition at(u, w.ins, blocks_of_row, channels);
  if (at.place.plane >= u.each || at.image >= u.end) return;
  const T* from = columns + at.row * w.y.kernel * w.x.kernel * u.ld + std::int64_t{at.place.plane} * w.out();
  using S = Arithmetic<T>;
  S sum = 0;
  for (int i = 0; i < w.y.kernel; ++i) {
    const int y = w.y.over(at.place.y, i);
    if (y < 0) continue;
    for (int j = 0; j < w.x.kernel; ++j) {
      const int x = w.x.over(at.place.x, j);
      if (x >= 0) sum += static_cast<S>(from[(i * w.x.kernel + j) * u.ld + y * w.x.out + x]);
    }
  }
  dx[(at.image * channels + at.channel) * w.in() + at.place.y * w.x.in + at.place.x] = T(sum);
}

// results [units, channels, ld] to the images they are of, with the bias.
template <typename T>
__global__ void place_kernel(const GpuWindow w, const ImageUnits u, const unsigned blocks_of_row,
                             const int channels, const T* __restrict__ results, const T* __restrict__ bias,
                             T* out) {
  const RowPosition at(u, w.outs, blocks_of_row, channels);
  if (at.place.plane >= u.each || at.image >= u.end) return;
  using S = Arithmetic<T>;
  const S shift = bias ? static_cast<S>(bias[at.channel]) : S(0);
  out[(at.image * channels + at.channel) * w.out() + at.place.y * w.x.out + at.place.x] =
      T(static_cast<S>(results[at.row * u.ld + at.position]) + shift);
}

// Starts one of these kernels over rows of `plane` positions an image.
template <typename... P, typename... A>
void run_rows(const char* name, void (*kernel)(GpuWindow, ImageUnits, unsigned, int, P...),
              const Window& window, const ImageUnits& u, std::int64_t plane, std::int64_t channels,
              A... args) {
  const std::int64_t blocks_of_row = (u.each * plane + RowPosition::threads - 1) / RowPosition::threads;
  const std::int64_t blocks = blocks_of_row * u.units * channels;
  if (blocks == 0) return;
  run(name, kernel, {static_cast<unsigned>(blocks), RowPosition::threads}, GpuWindow(window), u,
      static_cast<unsigned>(blocks_of_row), static_cast<int>(channels), args...);
}

}  // namespace tutti::kernels
