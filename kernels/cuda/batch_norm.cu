// Sums over a channel are of groups of neighbours in the arithmetic of the dtype, and of the groups in f64, under a tree that
// follows from the size of the channel alone.
#include "kernels/batch_norm.h"

#include <algorithm>
#include <initializer_list>
#include <string>

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/divisor.cuh"
#include "kernels/cuda/floats.h"
#include "kernels/cuda/pack.cuh"
#include "kernels/cuda/workspace.h"
#include "tutti/core/error.h"

namespace tutti::kernels {
namespace {

constexpr unsigned threads = 256;
constexpr int each = 4;  // packs of a thread that are under way

// Packs of `n` elements of a channel, numbered through the images.
template <int n>
struct Channels {
  std::int64_t channels, size;
  Divisor packs;        // of an image
  std::uint32_t count;  // of the channel

  explicit Channels(const BatchNormArgs& a)
      : channels(a.channels),
        size(a.size),
        packs(a.size / n),
        count(static_cast<std::uint32_t>(a.n * (a.size / n))) {}

  __device__ std::int64_t at(unsigned channel, std::uint32_t pack) const {
    std::uint32_t of_image;
    const std::uint32_t image = packs.divide(pack, of_image);
    return (image * channels + channel) * size + std::int64_t{of_image} * n;
  }
  unsigned rounds() const { return count > 16 * threads * each ? 4 : 1; }
  unsigned pieces() const { return (count + rounds() * threads * each - 1) / (rounds() * threads * each); }
};

struct TwoSums {
  double first, second;
};

// Sums of what differs from one element of the channel, and of its square. That element is as far from the mean as it is of
// the others, so that no more is lost to the difference of the two than their number makes up for.
template <typename T>
struct Moments {
  using C = Arithmetic<T>;
  const T* __restrict__ x;

  template <int n>
  __device__ void add(const Channels<n>& c, unsigned channel, std::uint32_t first, TwoSums& sums) const {
    Pack<T, n> values[each];
    int valid = 0;
#pragma unroll
    for (int k = 0; k < each; ++k) {
      const std::uint32_t pack = first + static_cast<unsigned>(k) * threads;
      if (pack < c.count) values[k] = load_pack<n>(x + c.at(channel, pack));
      valid += pack < c.count ? n : 0;
    }
    if (valid == 0) return;
    const C near = static_cast<C>(values[0].at[0]);
    C sum = 0, squares = 0;
#pragma unroll
    for (int k = 0; k < each; ++k) {
      if (first + static_cast<unsigned>(k) * threads >= c.count) break;
#pragma unroll
      for (int i = 0; i < n; ++i) {
        const C d = static_cast<C>(values[k].at[i]) - near;
        sum += d;
        squares += d * d;
      }
    }
    const double off = static_cast<double>(near) - static_cast<double>(static_cast<C>(x[channel * c.size]));
    const double s = static_cast<double>(sum);
    sums.first += valid * off + s;
    sums.second += off * (valid * off + 2 * s) + static_cast<double>(squares);
  }
};

// Sums of g (x - mean), and of g.
template <typename T>
struct Slopes {
  using C = Arithmetic<T>;
  const T* __restrict__ g;
  const T* __restrict__ x;
  const C* __restrict__ mean;

  template <int n>
  __device__ void add(const Channels<n>& c, unsigned channel, std::uint32_t first, TwoSums& sums) const {
    Pack<T, n> gradients[each], values[each];
#pragma unroll
    for (int k = 0; k < each; ++k) {
      const std::uint32_t pack = first + static_cast<unsigned>(k) * threads;
      if (pack >= c.count) break;
      const std::int64_t at = c.at(channel, pack);
      gradients[k] = load_pack<n>(g + at);
      values[k] = load_pack<n>(x + at);
    }
    const C m = mean[channel];
    C along = 0, total = 0;
#pragma unroll
    for (int k = 0; k < each; ++k) {
      if (first + static_cast<unsigned>(k) * threads >= c.count) break;
#pragma unroll
      for (int i = 0; i < n; ++i) {
        const C gradient = static_cast<C>(gradients[k].at[i]);
        along += gradient * (static_cast<C>(values[k].at[i]) - m);
        total += gradient;
      }
    }
    sums.first += static_cast<double>(along);
    sums.second += static_cast<double>(total);
  }
};

// A block for each piece of each channel.
template <int n, typename Terms>
__global__ void sums_kernel(const Channels<n> c, const unsigned pieces, const unsigned rounds,
                            const Terms terms, TwoSums* partial) {
  const unsigned channel = blockIdx.x / pieces, piece = blockIdx.x % pieces;
  std::uint32_t first = piece * rounds * threads * each + threadIdx.x;
  TwoSums sums{0, 0};
  for (unsigned round = 0; round < rounds; ++round, first += threads * each)
    terms.add(c, channel, first, sums);
  sums.first = reduce_block<threads>(sums.first, Sum{});
  sums.second = reduce_block<threads>(sums.second, Sum{});
  if (threadIdx.x == 0) partial[blockIdx.x] = sums;
}

// Of the pieces of a channel, by a warp.
__device__ TwoSums sum_of_pieces(const TwoSums* partial, unsigned pieces) {
  TwoSums sums{0, 0};
  for (unsigned i = lane_of_warp(); i < pieces; i += 32) {
    sums.first += partial[i].first;
    sums.second += partial[i].second;
  }
  return {reduce_lanes(sums.first, Sum{}), reduce_lanes(sums.second, Sum{})};
}

// The channel of this warp, of blocks of `threads`.
__device__ unsigned channel_of_warp() { return (blockIdx.x * threads + threadIdx.x) / 32; }

template <typename T>
__global__ void moments_kernel(const std::int64_t channels, const std::int64_t size, const double count,
                               const unsigned pieces, const TwoSums* partial, const T* x, Arithmetic<T>* mean,
                               Arithmetic<T>* variance) {
  using C = Arithmetic<T>;
  const unsigned channel = channel_of_warp();
  if (channel >= channels) return;
  const TwoSums sums = sum_of_pieces(partial + std::int64_t{channel} * pieces, pieces);
  if (lane_of_warp() != 0) return;
  const double off = sums.first / count, square = sums.second / count - off * off;
  mean[channel] = static_cast<C>(static_cast<double>(static_cast<C>(x[channel * size])) + off);
  variance[channel] = static_cast<C>(square < 0 ? 0 : square);  // keeps NaN
}

template <typename R>
__global__ void averages_kernel(const std::int64_t channels, const Arithmetic<R>* mean,
                                const Arithmetic<R>* variance, const Arithmetic<R> eps, Arithmetic<R>* rstd,
                                const Arithmetic<R> momentum, const Arithmetic<R> to_sample, R* running_mean,
                                R* running_variance) {
  using C = Arithmetic<R>;
  const std::int64_t c = std::int64_t{blockIdx.x} * threads + threadIdx.x;
  if (c >= channels) return;
  rstd[c] = C(1) / sqrt(variance[c] + eps);
  const auto moved = [&](R average, C value) {
    return R((C(1) - momentum) * static_cast<C>(average) + momentum * value);
  };
  if (running_mean) running_mean[c] = moved(running_mean[c], mean[c]);
  if (running_variance) running_variance[c] = moved(running_variance[c], variance[c] * to_sample);
}

// dx = (g - shift - (x - mean) * slope) * scale
template <typename C>
struct alignas(4 * sizeof(C)) Line {
  C mean, shift, slope, scale;
};

// `pieces` is 0 where the sums are not needed.
template <typename C>
__global__ void lines_kernel(const std::int64_t channels, const double count, const bool of_batch,
                             const unsigned pieces, const TwoSums* partial, const C* mean, const C* rstd,
                             const C* weight, C* dweight, C* dbias, Line<C>* lines) {
  const unsigned channel = channel_of_warp();
  if (channel >= channels) return;
  const TwoSums sums = sum_of_pieces(partial + std::int64_t{channel} * pieces, pieces);
  if (lane_of_warp() != 0) return;
  const C r = rstd[channel];
  if (dweight) dweight[channel] = static_cast<C>(sums.first * static_cast<double>(r));
  if (dbias) dbias[channel] = static_cast<C>(sums.second);
  if (!lines) return;
  lines[channel] = {mean[channel], of_batch ? static_cast<C>(sums.second / count) : C(0),
                    of_batch ? static_cast<C>(sums.first / count) * r * r : C(0),
                    weight ? r * weight[channel] : r};
}

template <typename T>
struct Normalise {
  using C = Arithmetic<T>;
  struct Line {
    C mean, scale, shift;
  };
  const T* __restrict__ x;
  const C* __restrict__ mean;
  const C* __restrict__ rstd;
  const C* __restrict__ weight;
  const C* __restrict__ bias;
  T* out;

  __device__ Line line(unsigned c) const {
    return {mean[c], weight ? rstd[c] * weight[c] : rstd[c], bias ? bias[c] : C(0)};
  }
  template <int n>
  struct In {
    Pack<T, n> x;
  };
  template <int n>
  __device__ In<n> load(std::int64_t at) const {
    return {load_pack<n>(x + at)};
  }
  template <int n>
  __device__ void store(std::int64_t at, const Line& l, const In<n>& in) const {
    Pack<T, n> result;
#pragma unroll
    for (int i = 0; i < n; ++i) result.at[i] = T((static_cast<C>(in.x.at[i]) - l.mean) * l.scale + l.shift);
    store_pack(out + at, result);
  }
};

template <typename T>
struct NormaliseGrad {
  using C = Arithmetic<T>;
  const T* __restrict__ g;
  const T* __restrict__ x;
  const Line<C>* __restrict__ lines;
  T* dx;

  __device__ Line<C> line(unsigned c) const { return lines[c]; }
  template <int n>
  struct In {
    Pack<T, n> g, x;
  };
  template <int n>
  __device__ In<n> load(std::int64_t at) const {
    return {load_pack<n>(g + at), load_pack<n>(x + at)};
  }
  template <int n>
  __device__ void store(std::int64_t at, const Line<C>& l, const In<n>& in) const {
    Pack<T, n> result;
#pragma unroll
    for (int i = 0; i < n; ++i) {
      const C centred = static_cast<C>(in.x.at[i]) - l.mean;
      result.at[i] = T((static_cast<C>(in.g.at[i]) - l.shift - centred * l.slope) * l.scale);
    }
    store_pack(dx + at, result);
  }
};

// Of `count` packs that begin at element `offset`; `packs` make a run of one channel.
template <int n, typename Body>
__global__ void map_kernel(const Divisor packs, const Divisor channels, const std::uint32_t count,
                           const std::int64_t offset, const Body body) {
  const std::uint32_t first = blockIdx.x * (threads * each) + threadIdx.x;
  typename Body::template In<n> in[each];
#pragma unroll
  for (int k = 0; k < each; ++k) {
    const std::uint32_t pack = first + static_cast<unsigned>(k) * threads;
    if (pack < count) in[k] = body.template load<n>(offset + std::int64_t{pack} * n);
  }
#pragma unroll
  for (int k = 0; k < each; ++k) {
    const std::uint32_t pack = first + static_cast<unsigned>(k) * threads;
    if (pack >= count) return;
    std::uint32_t channel;
    channels.divide(packs.divide(pack), channel);
    body.template store<n>(offset + std::int64_t{pack} * n, body.line(channel), in[k]);
  }
}

// In pieces of images whose packs are numbered in 31 bits.
template <int n, typename Body>
void map(const char* name, const BatchNormArgs& a, const Body& body) {
  const std::int64_t image = a.channels * (a.size / n), most = (std::int64_t{1} << 30) / image;
  for (std::int64_t first = 0; first < a.n; first += most) {
    const auto count = static_cast<std::uint32_t>(std::min(most, a.n - first) * image);
    run(name, map_kernel<n, Body>, {(count + threads * each - 1) / (threads * each), threads},
        Divisor(a.size / n), Divisor(a.channels), count, first * image * n, body);
  }
}

unsigned warp_blocks(std::int64_t channels) {
  return static_cast<unsigned>((channels * 32 + threads - 1) / threads);
}

// Calls f.template operator()<T, n>() for packs of n, if rows of `pointers` have them.
template <typename F>
void for_packs(const char* name, const BatchNormArgs& a, std::initializer_list<const void*> pointers, F f) {
  if (a.n * a.size >= std::int64_t{1} << 31 || a.channels * a.size > std::int64_t{1} << 30) {
    throw ShapeError(std::string(name) +
                     ": on a GPU a channel has less than 2^31 elements and an image at most 2^30");
  }
  if (a.n * a.size * a.channels == 0) return;
  visit_float(a.dtype, [&]<typename T>() {
    constexpr int n = in_16_bytes<T>;
    const bool fits = std::all_of(pointers.begin(), pointers.end(), [&](const void* p) {
      return fits_packs<n>(a.size, static_cast<const T*>(p));
    });
    fits ? f.template operator()<T, n>() : f.template operator()<T, 1>();
  });
}

}  // namespace

void BatchStatistics::cuda(const BatchNormArgs& args, const void* x, void* mean, void* variance) {
  for_packs(name, args, {x}, [&]<typename T, int n>() {
    using C = Arithmetic<T>;
    const Channels<n> c(args);
    const auto* from = static_cast<const T*>(x);
    const std::int64_t blocks = args.channels * c.pieces();
    const DeviceWorkspace partial(static_cast<std::size_t>(blocks) * sizeof(TwoSums));
    run(name, sums_kernel<n, Moments<T>>, {static_cast<unsigned>(blocks), threads}, c, c.pieces(), c.rounds(),
        Moments<T>{from}, partial.as<TwoSums>());
    run(name, moments_kernel<T>, {warp_blocks(args.channels), threads}, args.channels, args.size,
        static_cast<double>(args.n * args.size), c.pieces(), partial.as<TwoSums>(), from,
        static_cast<C*>(mean), static_cast<C*>(variance));
  });
}

bool BatchAverages::cuda(const BatchNormArgs& args, const Args& a) {
  const auto count = static_cast<double>(args.n * args.size);
  const auto blocks = static_cast<unsigned>((args.channels + threads - 1) / threads);
  visit_float(a.running, [&]<typename R>() {
    using C = Arithmetic<R>;
    run(name, averages_kernel<R>, {blocks, threads}, args.channels, static_cast<const C*>(a.mean),
        static_cast<const C*>(a.variance), static_cast<C>(a.eps), static_cast<C*>(a.rstd),
        static_cast<C>(a.momentum), static_cast<C>(count / (count - 1)), static_cast<R*>(a.running_mean),
        static_cast<R*>(a.running_variance));
  });
  return true;
}

void BatchNorm::cuda(const BatchNormArgs& args, const void* x, const void* mean, const void* rstd,
                     const void* weight, const void* bias, void* out) {
  for_packs(name, args, {x, out}, [&]<typename T, int n>() {
    using C = Arithmetic<T>;
    map<n>(name, args,
           Normalise<T>{static_cast<const T*>(x), static_cast<const C*>(mean), static_cast<const C*>(rstd),
                        static_cast<const C*>(weight), static_cast<const C*>(bias), static_cast<T*>(out)});
  });
}

void BatchNormGrad::cuda(const BatchNormArgs& args, bool of_batch, const void* g, const void* x,
                         const void* mean, const void* rstd, const void* weight, void* dx, void* dweight,
                         void* dbias) {
  for_packs(name, args, {g, x, dx}, [&]<typename T, int n>() {
    using C = Arithmetic<T>;
    const Channels<n> c(args);
    const auto *gradient = static_cast<const T*>(g), *from = static_cast<const T*>(x);
    const auto* m = static_cast<const C*>(mean);
    const bool sums = dweight || dbias || of_batch;
    const std::int64_t blocks = sums ? args.channels * c.pieces() : 0;
    const DeviceWorkspace partial(static_cast<std::size_t>(blocks) * sizeof(TwoSums));
    const DeviceWorkspace lines(dx ? static_cast<std::size_t>(args.channels) * sizeof(Line<C>) : 0);
    if (sums) {
      run(name, sums_kernel<n, Slopes<T>>, {static_cast<unsigned>(blocks), threads}, c, c.pieces(),
          c.rounds(), Slopes<T>{gradient, from, m}, partial.as<TwoSums>());
    }
    run(name, lines_kernel<C>, {warp_blocks(args.channels), threads}, args.channels,
        static_cast<double>(args.n * args.size), of_batch, sums ? c.pieces() : 0, partial.as<TwoSums>(), m,
        static_cast<const C*>(rstd), static_cast<const C*>(weight), static_cast<C*>(dweight),
        static_cast<C*>(dbias), dx ? lines.as<Line<C>>() : nullptr);
    if (dx) map<n>(name, args, NormaliseGrad<T>{gradient, from, lines.as<Line<C>>(), static_cast<T*>(dx)});
  });
}

}  // namespace tutti::kernels
