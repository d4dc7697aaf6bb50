#include "kernels/optim.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "core/parallel_for.h"
#include "kernels/multiversion.h"

namespace tutti::kernels {
namespace {

// What arithmetic on P is done in, and kept in.
template <typename P>
using Wide = std::conditional_t<sizeof(P) == 2, float, P>;

// Calls f.operator()<P>() for the type of a parameter.
template <typename F>
void visit_parameter(DType dtype, F&& f) {
  visit_dtype(dtype, [&]<typename P>() {
    if constexpr (!std::is_integral_v<P>) f.template operator()<P>();
  });
}

template <typename P, typename T>
TUTTI_MULTIVERSION void sgd_plain(P* p, T* master, const P* g, T lr, T decay, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T w = master[i] - lr * (static_cast<T>(g[i]) + decay * master[i]);
    master[i] = w;
    if constexpr (!std::is_same_v<P, T>) p[i] = P(w);
  }
}

template <typename T>
struct Momentum {
  T lr, decay, of_buffer, of_grad, ahead, direct;
};

template <typename P, typename T>
TUTTI_MULTIVERSION void sgd_momentum(P* p, T* master, const P* g, T* buffer, const Momentum<T> c,
                                     std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T d = static_cast<T>(g[i]) + c.decay * master[i];
    const T b = c.of_buffer * buffer[i] + c.of_grad * d;
    const T w = master[i] - c.lr * (c.direct * d + c.ahead * b);
    buffer[i] = b;
    master[i] = w;
    if constexpr (!std::is_same_v<P, T>) p[i] = P(w);
  }
}

template <typename P>
void sgd(const SgdArgs& args) {
  using T = Wide<P>;
  const auto value = [](double x) { return static_cast<T>(x); };
  auto* p = static_cast<P*>(args.parameter);
  auto* master = static_cast<T*>(sizeof(P) == 2 ? args.master : args.parameter);
  auto* buffer = static_cast<T*>(args.buffer);
  const auto* g = static_cast<const P*>(args.grad);
  const SgdScalars s = args.on_device ? *args.on_device : args.scalars;
  const Momentum<T> c{value(s.lr),
                      value(args.weight_decay),
                      s.first ? T(0) : value(args.momentum),
                      s.first ? T(1) : value(1 - args.dampening),
                      args.nesterov ? value(args.momentum) : T(1),
                      args.nesterov ? T(1) : T(0)};
  parallel_for(args.count, piece_elements, [&](std::int64_t first, std::int64_t last) {
    const std::int64_t n = last - first;
    buffer ? sgd_momentum(p + first, master + first, g + first, buffer + first, c, n)
           : sgd_plain(p + first, master + first, g + first, c.lr, c.decay, n);
  });
}

template <typename T>
struct Adam {
  T rest1, beta2, rest2, eps, decay, keep, step_size, root_correction;
};

template <typename P, typename T>
TUTTI_MULTIVERSION void adam(P* p, T* master, const P* grad, T* m, T* v, const Adam<T> c, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T g = static_cast<T>(grad[i]) + c.decay * master[i];
    m[i] += c.rest1 * (g - m[i]);
    v[i] = c.beta2 * v[i] + c.rest2 * g * g;
    const T w = master[i] * c.keep - c.step_size * (m[i] / (std::sqrt(v[i]) / c.root_correction + c.eps));
    master[i] = w;
    if constexpr (!std::is_same_v<P, T>) p[i] = P(w);
  }
}

template <typename P>
void adam(const AdamArgs& args) {
  using T = Wide<P>;
  const auto value = [](double x) { return static_cast<T>(x); };
  auto* p = static_cast<P*>(args.parameter);
  auto* master = static_cast<T*>(sizeof(P) == 2 ? args.master : args.parameter);
  const AdamScalars s = args.on_device ? *args.on_device : args.scalars;
  const Adam<T> c{value(1 - args.beta1), value(args.beta2),        value(1 - args.beta2),
                  value(args.eps),       value(args.weight_decay), value(s.keep),
                  value(s.step_size),    value(s.root_correction)};
  parallel_for(args.count, piece_elements, [&](std::int64_t first, std::int64_t last) {
    adam(p + first, master + first, static_cast<const P*>(args.grad) + first,
         static_cast<T*>(args.exp_avg) + first, static_cast<T*>(args.exp_avg_sq) + first, c, last - first);
  });
}

}  // namespace

void SgdStep::cpu(const SgdArgs& args) {
  visit_parameter(args.dtype, [&]<typename P>() { sgd<P>(args); });
}

void SgdStep::cpu(std::span<const SgdArgs> tensors) {
  for (const auto& args : tensors) cpu(args);
}

void AdamStep::cpu(const AdamArgs& args) {
  visit_parameter(args.dtype, [&]<typename P>() { adam<P>(args); });
}

void AdamStep::cpu(std::span<const AdamArgs> tensors) {
  for (const auto& args : tensors) cpu(args);
}

}  // namespace tutti::kernels
