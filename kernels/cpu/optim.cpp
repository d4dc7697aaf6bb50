#include "kernels/optim.h"

#include <algorithm>
#include <cmath>

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
  const T* g = static_cast<const T*>(args.grad);
  if (!args.buffer) return sgd_plain(p, g, value(args.lr), value(args.weight_decay), args.count);
  const Momentum<T> c{value(args.lr),
                      value(args.weight_decay),
                      args.first ? T(0) : value(args.momentum),
                      args.first ? T(1) : value(1 - args.dampening),
                      args.nesterov ? value(args.momentum) : T(1),
                      args.nesterov ? T(1) : T(0)};
  sgd_momentum(p, g, static_cast<T*>(args.buffer), c, args.count);
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
  adam(static_cast<T*>(args.parameter), static_cast<const T*>(args.grad), static_cast<T*>(args.exp_avg),
       static_cast<T*>(args.exp_avg_sq), c, args.count);
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
  for (std::int64_t first = 0; first < count; first += chunk) {
    const std::int64_t n = std::min(chunk, count - first);
    *sums++ = dtype == DType::f64 ? squares(static_cast<const double*>(x) + first, n)
                                  : squares(static_cast<const float*>(x) + first, n);
  }
}

}  // namespace tutti::kernels
