#include "kernels/optim.h"

#include <algorithm>
#include <cmath>

#include "core/parallel_for.h"
#include "kernels/cpu/lanes.h"
#include "kernels/multiversion.h"

namespace tutti::kernels {
namespace {

template <typename T>
TUTTI_MULTIVERSION void sgd_plain(T* p, const T* g, T lr, T decay, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) p[i] -= lr * (g[i] + decay * p[i]);
}

template <typename T>
struct Momentum {
  T lr, decay, of_buffer, of_grad, ahead, direct;
};

template <typename T>
TUTTI_MULTIVERSION void sgd_momentum(T* p, const T* g, T* buffer, const Momentum<T> c, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T d = g[i] + c.decay * p[i];
    const T b = c.of_buffer * buffer[i] + c.of_grad * d;
    buffer[i] = b;
    p[i] -= c.lr * (c.direct * d + c.ahead * b);
  }
}

template <typename T>
void sgd(const SgdArgs& args) {
  const auto value = [](double x) { return static_cast<T>(x); };
  T* p = static_cast<T*>(args.parameter);
  T* buffer = static_cast<T*>(args.buffer);
  const T* g = static_cast<const T*>(args.grad);
  const Momentum<T> c{value(args.lr),
                      value(args.weight_decay),
                      args.first ? T(0) : value(args.momentum),
                      args.first ? T(1) : value(1 - args.dampening),
                      args.nesterov ? value(args.momentum) : T(1),
                      args.nesterov ? T(1) : T(0)};
  parallel_for(args.count, piece_elements, [&](std::int64_t first, std::int64_t last) {
    const std::int64_t n = last - first;
    buffer ? sgd_momentum(p + first, g + first, buffer + first, c, n)
           : sgd_plain(p + first, g + first, value(args.lr), value(args.weight_decay), n);
  });
}

template <typename T>
struct Adam {
  T rest1, beta2, rest2, eps, decay, keep, step_size, root_correction;
};

template <typename T>
TUTTI_MULTIVERSION void adam(T* p, const T* grad, T* m, T* v, const Adam<T> c, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T g = grad[i] + c.decay * p[i];
    m[i] += c.rest1 * (g - m[i]);
    v[i] = c.beta2 * v[i] + c.rest2 * g * g;
    p[i] = p[i] * c.keep - c.step_size * (m[i] / (std::sqrt(v[i]) / c.root_correction + c.eps));
  }
}

template <typename T>
void adam(const AdamArgs& args) {
  const auto value = [](double x) { return static_cast<T>(x); };
  const Adam<T> c{value(1 - args.beta1), value(args.beta2),          value(1 - args.beta2),
                  value(args.eps),       value(args.weight_decay),   value(args.keep),
                  value(args.step_size), value(args.root_correction)};
  parallel_for(args.count, piece_elements, [&](std::int64_t first, std::int64_t last) {
    adam(static_cast<T*>(args.parameter) + first, static_cast<const T*>(args.grad) + first,
         static_cast<T*>(args.exp_avg) + first, static_cast<T*>(args.exp_avg_sq) + first, c, last - first);
  });
}

template <typename T>
TUTTI_MULTIVERSION double squares(const T* x, std::int64_t n) {
  return lane_sum<double>(
      n, [x](std::int64_t i) { return static_cast<double>(x[i]) * static_cast<double>(x[i]); });
}

}  // namespace

void SgdStep::cpu(const SgdArgs& args) { args.dtype == DType::f64 ? sgd<double>(args) : sgd<float>(args); }

void AdamStep::cpu(const AdamArgs& args) {
  args.dtype == DType::f64 ? adam<double>(args) : adam<float>(args);
}

void SumSquares::cpu(DType dtype, const void* x, std::int64_t count, double* sums) {
  parallel_for(count, piece_elements, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t first = begin; first < end; first += chunk) {
      const std::int64_t n = std::min(chunk, end - first);
      sums[first / chunk] = dtype == DType::f64 ? squares(static_cast<const double*>(x) + first, n)
                                                : squares(static_cast<const float*>(x) + first, n);
    }
  });
}

}  // namespace tutti::kernels
