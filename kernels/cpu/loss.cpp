#include "kernels/loss.h"

#include <algorithm>
#include <cmath>

#include "core/parallel_for.h"
#include "kernels/cpu/lanes.h"
#include "kernels/multiversion.h"

namespace tutti::kernels {
namespace {

// log sum exp(x) in two parts: their sum would swallow the digits of a small loss.
template <typename T>
struct LogSum {
  T largest, rest;
};

template <typename T>
TUTTI_MULTIVERSION LogSum<T> log_sum_exp(const T* x, std::int64_t n) {
  const T largest = lane_max(x, n);
  return {largest, std::log(lane_sum<T>(n, [=](std::int64_t i) { return vexp_small(x[i] - largest); }))};
}

template <typename T>
TUTTI_MULTIVERSION T sum_of(const T* x, std::int64_t n) {
  return lane_sum<T>(n, [x](std::int64_t i) { return x[i]; });
}

template <typename T>
TUTTI_MULTIVERSION void softmax_times(const T* x, T log_sum, T even, T g, T* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = g * (vexp_small(x[i] - log_sum) - even);
}

template <typename T>
void forward(const CrossEntropyArgs& args, T* loss, T* log_sums) {
  const T smoothing = static_cast<T>(args.smoothing);
  parallel_for(args.rows, piece_rows(args.classes), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row) {
      const T* x = static_cast<const T*>(args.logits) + row * args.classes;
      const std::int64_t target = args.targets[row];
      log_sums[row] = loss[row] = T(0);
      if (target == args.ignored) continue;
      const auto [largest, rest] = log_sum_exp(x, args.classes);
      log_sums[row] = largest + rest;
      loss[row] = rest - (x[target] - largest);
      if (smoothing != T(0)) {
        const T over_all = rest - (sum_of(x, args.classes) / static_cast<T>(args.classes) - largest);
        loss[row] = (T(1) - smoothing) * loss[row] + smoothing * over_all;
      }
    }
  });
}

template <typename T>
void backward(const CrossEntropyArgs& args, const T* log_sums, const T* g, std::int64_t g_step, T* out) {
  const T smoothing = static_cast<T>(args.smoothing);
  const T even = smoothing / static_cast<T>(args.classes);
  parallel_for(args.rows, piece_rows(args.classes), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row) {
      const T* x = static_cast<const T*>(args.logits) + row * args.classes;
      T* to = out + row * args.classes;
      const std::int64_t target = args.targets[row];
      if (target == args.ignored) {
        std::fill_n(to, args.classes, T(0));
        continue;
      }
      const T of_loss = g[row * g_step];
      softmax_times(x, log_sums[row], even, of_loss, to, args.classes);
      to[target] -= of_loss * (T(1) - smoothing);
    }
  });
}

// log(1 + z) for z in [0, 1]: the division makes up for the digits of z that 1 + z lost.
template <typename T>
TUTTI_INLINE T log_one_plus(T z) {
  const T u = T(1) + z;
  const T lost = u - T(1);
  return lost == T(0) ? z : vlog(u) * (z / lost);
}

template <typename T>
TUTTI_MULTIVERSION void binary(const T* x, const T* t, T* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T a = x[i];
    out[i] = (a > T(0) ? a : T(0)) - a * t[i] + log_one_plus(vexp_small(-std::fabs(a)));
  }
}

}  // namespace

void CrossEntropy::cpu(const CrossEntropyArgs& args, void* loss, void* log_sums) {
  args.dtype == DType::f64 ? forward(args, static_cast<double*>(loss), static_cast<double*>(log_sums))
                           : forward(args, static_cast<float*>(loss), static_cast<float*>(log_sums));
}

void CrossEntropyGrad::cpu(const CrossEntropyArgs& args, const void* log_sums, const void* g,
                           std::int64_t g_step, void* out) {
  args.dtype == DType::f64 ? backward(args, static_cast<const double*>(log_sums),
                                      static_cast<const double*>(g), g_step, static_cast<double*>(out))
                           : backward(args, static_cast<const float*>(log_sums), static_cast<const float*>(g),
                                      g_step, static_cast<float*>(out));
}

std::int64_t FindBadTarget::cpu(const std::int64_t* targets, std::int64_t count, std::int64_t classes,
                                std::int64_t ignored) {
  const auto* bad = std::find_if(targets, targets + count, [=](std::int64_t target) {
    return target != ignored && (target < 0 || target >= classes);
  });
  return bad == targets + count ? -1 : bad - targets;
}

void BinaryCrossEntropy::cpu(DType dtype, const void* x, const void* targets, void* out, std::int64_t count) {
  const auto run = [&]<typename T>(T) {
    parallel_for(count, piece_elements, [&](std::int64_t first, std::int64_t last) {
      binary(static_cast<const T*>(x) + first, static_cast<const T*>(targets) + first,
             static_cast<T*>(out) + first, last - first);
    });
  };
  dtype == DType::f64 ? run(double{}) : run(float{});
}

}  // namespace tutti::kernels
