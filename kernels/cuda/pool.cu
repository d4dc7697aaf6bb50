#include "kernels/pool.h"

#include <limits>

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/floats.h"
#include "kernels/cuda/pack.cuh"
#include "kernels/cuda/window.cuh"

namespace tutti::kernels {
namespace {

constexpr unsigned threads = 256;
constexpr int each = 4;        // outputs of a thread, so that enough is under way
constexpr int of_a_warp = 32;  // elements of a window that are worth a warp

// NaN counts as largest, and the last of several is taken; of equals the first.
template <typename T>
struct Largest2d {
  using C = Arithmetic<T>;
  C best = -std::numeric_limits<C>::infinity();
  int at = -1;

  __device__ void take(C value, int from) {
    if (value > best || value != value || at < 0) {
      best = value;
      at = from;
    }
  }
  __device__ void merge_lanes() {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) {
      const C value = __shfl_xor_sync(all_lanes, best, step);
      const int from = __shfl_xor_sync(all_lanes, at, step);
      const bool later = from > at, is_nan = value != value;
      const bool better =
          best != best ? is_nan && later : is_nan || value > best || (value == best && !later);
      if (from >= 0 && (at < 0 || better)) {
        best = value;
        at = from;
      }
    }
  }
};
template <typename T>
struct MaxResult {
  using Folded = Largest2d<T>;
  T* out;
  std::int32_t* index;

  __device__ void store(std::uint32_t o, const Folded& f) const {
    out[o] = T(f.best);
    index[o] = f.at;
  }
};

template <typename T>
struct Total2d {
  using C = Arithmetic<T>;
  C sum = 0;

  __device__ void take(C value, int) { sum += value; }
  __device__ void merge_lanes() { sum = reduce_lanes(sum, Sum{}); }
};
template <typename T>
struct AvgResult {
  using Folded = Total2d<T>;
  T* out;
  Arithmetic<T> scale;

  __device__ void store(std::uint32_t o, const Folded& f) const { out[o] = T(f.sum * scale); }
};

// A thread for each output. `known` is the window's size in both dimensions, or 0.
template <int known, typename T, typename Result>
__global__ void pool_kernel(const GpuWindow w, const std::uint32_t count, const T* __restrict__ x,
                            const Result result) {
  using C = Arithmetic<T>;
  const int rows = known ? known : w.y.kernel, columns = known ? known : w.x.kernel;
  const std::uint32_t first = blockIdx.x * (threads * each) + threadIdx.x;
#pragma unroll
  for (int k = 0; k < each; ++k) {
    const std::uint32_t o = first + static_cast<unsigned>(k) * threads;
    if (o >= count) return;
    const PlanePlace p = w.outs(o);
    const T* plane = x + std::int64_t{p.plane} * w.in();
    const int y0 = w.y.begin(p.y), x0 = w.x.begin(p.x);
    typename Result::Folded folded;
#pragma unroll
    for (int i = 0; i < rows; ++i) {
      if (y0 + i < 0 || y0 + i >= w.y.in) continue;
#pragma unroll
      for (int j = 0; j < columns; ++j) {
        if (x0 + j < 0 || x0 + j >= w.x.in) continue;
        const int at = (y0 + i) * w.x.in + x0 + j;
        folded.take(static_cast<C>(plane[at]), at);
      }
    }
    result.store(o, folded);
  }
}

// Windows of 2 x 2 side by side: each row of one is loaded as a pair.
template <typename T, typename Result>
__global__ void pool_pairs_kernel(const GpuWindow w, const std::uint32_t count, const T* __restrict__ x,
                                  const Result result) {
  using C = Arithmetic<T>;
  const std::uint32_t first = blockIdx.x * (threads * each) + threadIdx.x;
  Pack<T, 2> row[each][2];
  int begin[each];
#pragma unroll
  for (int k = 0; k < each; ++k) {
    const std::uint32_t o = min(first + static_cast<unsigned>(k) * threads, count - 1);
    const PlanePlace p = w.outs(o);
    begin[k] = 2 * p.y * w.x.in + 2 * p.x;
    const T* at = x + std::int64_t{p.plane} * w.in() + begin[k];
    row[k][0] = load_pack<2>(at);
    row[k][1] = load_pack<2>(at + w.x.in);
  }
#pragma unroll
  for (int k = 0; k < each; ++k) {
    const std::uint32_t o = first + static_cast<unsigned>(k) * threads;
    if (o >= count) return;
    typename Result::Folded folded;
#pragma unroll
    for (int i = 0; i < 4; ++i)
      folded.take(static_cast<C>(row[k][i / 2].at[i % 2]), begin[k] + i / 2 * w.x.in + i % 2);
    result.store(o, folded);
  }
}

// A warp for each output, of large windows: of whole images at last.
template <typename T, typename Result>
__global__ void pool_warp_kernel(const GpuWindow w, const Divisor columns, const std::uint32_t count,
                                 const T* __restrict__ x, const Result result) {
  using C = Arithmetic<T>;
  const std::uint32_t o = blockIdx.x * (threads / 32) + threadIdx.x / 32;
  if (o >= count) return;
  const PlanePlace p = w.outs(o);
  const T* plane = x + std::int64_t{p.plane} * w.in();
  const int y0 = w.y.begin(p.y), x0 = w.x.begin(p.x);
  const unsigned size = static_cast<unsigned>(w.y.kernel) * columns.by();
  typename Result::Folded folded;
#pragma unroll 4
  for (unsigned k = lane_of_warp(); k < size; k += 32) {
    std::uint32_t j;
    const int i = y0 + static_cast<int>(columns.divide(k, j)), column = x0 + static_cast<int>(j);
    if (i < 0 || i >= w.y.in || column < 0 || column >= w.x.in) continue;
    const int at = i * w.x.in + column;
    folded.take(static_cast<C>(plane[at]), at);
  }
  folded.merge_lanes();
  if (lane_of_warp() == 0) result.store(o, folded);
}

// Whether the windows are 2 x 2 side by side and rows begin at pairs of `x`.
template <typename T>
bool is_of_pairs(const Window& w, const T* x) {
  const auto halves = [](const WindowDim& d) { return d.kernel == 2 && d.stride == 2 && d.padding == 0; };
  return halves(w.y) && halves(w.x) && fits_packs<2>(w.x.in, x);
}

unsigned blocks_of(std::int64_t count, std::int64_t of_a_block) {
  return static_cast<unsigned>((count + of_a_block - 1) / of_a_block);
}

// Calls f(first plane, planes) for pieces whose elements are numbered in 31 bits.
template <typename F>
void for_pieces(const Window& w, std::int64_t planes, F f) {
  const std::int64_t piece = std::max<std::int64_t>(1, most_indices / 2 / std::max(w.in(), w.out()));
  for (std::int64_t first = 0; first < planes; first += piece) f(first, std::min(piece, planes - first));
}

template <typename T, typename Result>
void pool(const char* name, const Window& window, std::int64_t planes, const T* x, const Result& result) {
  const GpuWindow w(window);
  const std::int64_t outputs = planes * window.out();
  const auto count = static_cast<std::uint32_t>(outputs);
  const Grid grid{blocks_of(outputs, threads * each), threads};
  if (is_of_pairs(window, x)) return run(name, pool_pairs_kernel<T, Result>, grid, w, count, x, result);
  if (window.kernel() >= of_a_warp) {
    return run(name, pool_warp_kernel<T, Result>, {blocks_of(outputs, threads / 32), threads}, w,
               Divisor(window.x.kernel), count, x, result);
  }
  const bool square = window.y.kernel == window.x.kernel;
  if (square && window.x.kernel == 2) return run(name, pool_kernel<2, T, Result>, grid, w, count, x, result);
  if (square && window.x.kernel == 3) return run(name, pool_kernel<3, T, Result>, grid, w, count, x, result);
  run(name, pool_kernel<0, T, Result>, grid, w, count, x, result);
}

// What an output gives to an input of its window: all of its gradient, if it is the largest, or a part.
template <typename T>
struct MaxGiven {
  const T* __restrict__ g;
  const std::int32_t* __restrict__ index;

  __device__ Arithmetic<T> operator()(std::uint32_t o, int at) const {
    return index[o] == at ? static_cast<Arithmetic<T>>(g[o]) : Arithmetic<T>(0);
  }
};
template <typename T>
struct AvgGiven {
  const T* __restrict__ g;
  Arithmetic<T> scale;

  __device__ Arithmetic<T> operator()(std::uint32_t o, int) const {
    return static_cast<Arithmetic<T>>(g[o]) * scale;
  }
};

// A thread for each input, which sums over the outputs that cover it, in their order.
template <typename T, typename Given>
__global__ void pool_grad_kernel(const GpuWindow w, const std::uint32_t count, const Given given, T* dx) {
  const std::uint32_t first = blockIdx.x * (threads * each) + threadIdx.x;
#pragma unroll
  for (int k = 0; k < each; ++k) {
    const std::uint32_t i = first + static_cast<unsigned>(k) * threads;
    if (i >= count) return;
    const PlanePlace p = w.ins(i);
    const int at = p.y * w.x.in + p.x;
    const std::uint32_t plane = static_cast<unsigned>(p.plane) * w.outs.size.by();
    const int last_y = w.y.end_over(p.y), first_x = w.x.first_over(p.x), last_x = w.x.end_over(p.x);
    Arithmetic<T> sum = 0;
    for (int y = w.y.first_over(p.y); y < last_y; ++y) {
      for (int x = first_x; x < last_x; ++x) sum += given(plane + static_cast<unsigned>(y * w.x.out + x), at);
    }
    dx[i] = T(sum);
  }
}

// Windows of 2 x 2 that cover all: a thread for each output, which alone gives to its inputs.
template <typename T, typename Given>
__global__ void pool_pairs_grad_kernel(const GpuWindow w, const std::uint32_t count, const Given given,
                                       T* dx) {
  const std::uint32_t first = blockIdx.x * (threads * each) + threadIdx.x;
#pragma unroll
  for (int k = 0; k < each; ++k) {
    const std::uint32_t o = first + static_cast<unsigned>(k) * threads;
    if (o >= count) return;
    const PlanePlace p = w.outs(o);
    const int at = 2 * p.y * w.x.in + 2 * p.x;
    T* to = dx + std::int64_t{p.plane} * w.in() + at;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int row = i * w.x.in;
      store_pack(to + row, Pack<T, 2>{T(given(o, at + row)), T(given(o, at + row + 1))});
    }
  }
}

template <typename T, typename Given>
void pool_grad(const char* name, const Window& window, std::int64_t planes, const Given& given, T* dx) {
  const GpuWindow w(window);
  const bool pairs = is_of_pairs(window, dx) && window.y.in % 2 == 0;
  const std::int64_t count = planes * (pairs ? window.out() : window.in());
  if (count == 0) return;
  run(name, pairs ? pool_pairs_grad_kernel<T, Given> : pool_grad_kernel<T, Given>,
      {blocks_of(count, threads * each), threads}, w, static_cast<std::uint32_t>(count), given, dx);
}

// Calls f.template operator()<T>(first plane, planes).
template <typename F>
void for_pieces_of(const char* name, DType dtype, const Window& window, std::int64_t planes, F f) {
  check_sizes(name, window);
  visit_float(dtype, [&]<typename T>() {
    for_pieces(window, planes,
               [&](std::int64_t first, std::int64_t count) { f.template operator()<T>(first, count); });
  });
}

template <typename T>
Arithmetic<T> part_of(const Window& w) {
  return Arithmetic<T>(1) / static_cast<Arithmetic<T>>(w.kernel());
}

}  // namespace

void MaxPool2d::cuda(DType dtype, const Window& window, std::int64_t planes, const void* x, void* out,
                     std::int32_t* index) {
  for_pieces_of(name, dtype, window, planes, [&]<typename T>(std::int64_t first, std::int64_t count) {
    const std::int64_t at = first * window.out();
    pool(name, window, count, static_cast<const T*>(x) + first * window.in(),
         MaxResult<T>{static_cast<T*>(out) + at, index + at});
  });
}

void MaxPool2dGrad::cuda(DType dtype, const Window& window, std::int64_t planes, const void* g,
                         const std::int32_t* index, void* dx) {
  for_pieces_of(name, dtype, window, planes, [&]<typename T>(std::int64_t first, std::int64_t count) {
    const std::int64_t at = first * window.out();
    pool_grad(name, window, count, MaxGiven<T>{static_cast<const T*>(g) + at, index + at},
              static_cast<T*>(dx) + first * window.in());
  });
}

void AvgPool2d::cuda(DType dtype, const Window& window, std::int64_t planes, const void* x, void* out) {
  for_pieces_of(name, dtype, window, planes, [&]<typename T>(std::int64_t first, std::int64_t count) {
    pool(name, window, count, static_cast<const T*>(x) + first * window.in(),
         AvgResult<T>{static_cast<T*>(out) + first * window.out(), part_of<T>(window)});
  });
}

void AvgPool2dGrad::cuda(DType dtype, const Window& window, std::int64_t planes, const void* g, void* dx) {
  for_pieces_of(name, dtype, window, planes, [&]<typename T>(std::int64_t first, std::int64_t count) {
    pool_grad(name, window, count,
              AvgGiven<T>{static_cast<const T*>(g) + first * window.out(), part_of<T>(window)},
              static_cast<T*>(dx) + first * window.in());
  });
}

}  // namespace tutti::kernels
