#include "kernels/batch_norm.h"

#include "core/parallel_for.h"
#include "kernels/cpu/lanes.h"
#include "kernels/multiversion.h"

namespace tutti::kernels {
namespace {

template <typename T>
TUTTI_MULTIVERSION double sum_of(const T* x, std::int64_t n) {
  return static_cast<double>(lane_sum<T>(n, [x](std::int64_t i) { return x[i]; }));
}

template <typename T>
TUTTI_MULTIVERSION double squares_about(const T* x, T mean, std::int64_t n) {
  return static_cast<double>(lane_sum<T>(n, [=](std::int64_t i) { return (x[i] - mean) * (x[i] - mean); }));
}

template <typename T>
TUTTI_MULTIVERSION double product_about(const T* g, const T* x, T mean, std::int64_t n) {
  return static_cast<double>(lane_sum<T>(n, [=](std::int64_t i) { return g[i] * (x[i] - mean); }));
}

// out = (x - mean) * scale + shift
template <typename T>
TUTTI_MULTIVERSION void scale_run(const T* x, T mean, T scale, T shift, T* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = (x[i] - mean) * scale + shift;
}

// dx = (g - shift - (x - mean) * slope) * scale
template <typename T>
TUTTI_MULTIVERSION void grad_run(const T* g, const T* x, T mean, T shift, T slope, T scale, T* dx,
                                 std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) dx[i] = (g[i] - shift - (x[i] - mean) * slope) * scale;
}

// Sum over the images of term(offset of the channel's elements in the image).
template <typename F>
double sum_over_images(const BatchNormArgs& a, std::int64_t channel, F term) {
  double sum = 0;
  for (std::int64_t i = 0; i < a.n; ++i) sum += term((i * a.channels + channel) * a.size);
  return sum;
}

template <typename F>
void for_each_channel(const BatchNormArgs& a, F f) {
  parallel_for(a.channels, piece_rows(a.n * a.size), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t c = first; c < last; ++c) f(c);
  });
}

}  // namespace

void BatchStatistics::cpu(const BatchNormArgs& args, const void* x, void* mean, void* variance) {
  const auto run = [&]<typename T>(T) {
    const T* from = static_cast<const T*>(x);
    const auto count = static_cast<double>(args.n * args.size);
    for_each_channel(args, [&](std::int64_t c) {
      const T m = static_cast<T>(
          sum_over_images(args, c, [&](std::int64_t at) { return sum_of(from + at, args.size); }) / count);
      static_cast<T*>(mean)[c] = m;
      static_cast<T*>(variance)[c] = static_cast<T>(
          sum_over_images(args, c, [&](std::int64_t at) { return squares_about(from + at, m, args.size); }) /
          count);
    });
  };
  args.dtype == DType::f64 ? run(double{}) : run(float{});
}

void BatchNorm::cpu(const BatchNormArgs& args, const void* x, const void* mean, const void* rstd,
                    const void* weight, const void* bias, void* out) {
  const auto run = [&]<typename T>(T) {
    parallel_for(args.n * args.channels, piece_rows(args.size), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) {
        const std::int64_t c = i % args.channels;
        const T scale = static_cast<const T*>(rstd)[c] * (weight ? static_cast<const T*>(weight)[c] : T(1));
        scale_run(static_cast<const T*>(x) + i * args.size, static_cast<const T*>(mean)[c], scale,
                  bias ? static_cast<const T*>(bias)[c] : T(0), static_cast<T*>(out) + i * args.size,
                  args.size);
      }
    });
  };
  args.dtype == DType::f64 ? run(double{}) : run(float{});
}

void BatchNormGrad::cpu(const BatchNormArgs& args, bool of_batch, const void* g, const void* x,
                        const void* mean, const void* rstd, const void* weight, void* dx, void* dweight,
                        void* dbias) {
  const auto run = [&]<typename T>(T) {
    const T* gradient = static_cast<const T*>(g);
    const T* from = static_cast<const T*>(x);
    const auto count = static_cast<double>(args.n * args.size);
    for_each_channel(args, [&](std::int64_t c) {
      const T m = static_cast<const T*>(mean)[c], r = static_cast<const T*>(rstd)[c];
      const double along = sum_over_images(
          args, c, [&](std::int64_t at) { return product_about(gradient + at, from + at, m, args.size); });
      const double total =
          sum_over_images(args, c, [&](std::int64_t at) { return sum_of(gradient + at, args.size); });
      if (dweight) static_cast<T*>(dweight)[c] = static_cast<T>(along * static_cast<double>(r));
      if (dbias) static_cast<T*>(dbias)[c] = static_cast<T>(total);
      if (!dx) return;
      const T shift = of_batch ? static_cast<T>(total / count) : T(0);
      const T slope = of_batch ? static_cast<T>(along / count) * r * r : T(0);
      const T scale = r * (weight ? static_cast<const T*>(weight)[c] : T(1));
      for (std::int64_t i = 0; i < args.n; ++i) {
        const std::int64_t at = (i * args.channels + c) * args.size;
        grad_run(gradient + at, from + at, m, shift, slope, scale, static_cast<T*>(dx) + at, args.size);
      }
    });
  };
  args.dtype == DType::f64 ? run(double{}) : run(float{});
}

}  // namespace tutti::kernels
