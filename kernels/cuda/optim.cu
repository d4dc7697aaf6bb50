// Steps of optimizers: what is kept about an element is read, changed and written once.
#include "kernels/optim.h"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "kernels/cuda/pack.cuh"
#include "kernels/cuda/tensor_list.cuh"

namespace tutti::kernels {
namespace {

constexpr unsigned threads = 256;

// Of the arrays whose elements are changed and kept as T, 16 bytes are taken at a time.
template <typename T>
constexpr int step_pack = in_16_bytes<T>;
template <typename T>
constexpr std::int64_t part = std::int64_t{threads} * step_pack<T> * 4;

// Whether all pointers that are not null allow packs of `n`; a part's first element does in any case.
template <int n, typename... T>
__device__ bool allow_packs(T*... pointers) {
  return ((reinterpret_cast<std::uintptr_t>(pointers) % (n * sizeof(T)) == 0) && ...);
}

// Calls step(first element, number of elements), the latter a constant, for what the thread has of a part.
template <int n, typename Step>
__device__ void for_part(const Part& mine, bool packs, Step step) {
  if (packs) {
    for (std::int64_t i = mine.first + threadIdx.x * n; i < mine.last; i += threads * n) {
      if (i + n <= mine.last) {
        step(i, std::integral_constant<int, n>());
      } else {
        for (; i < mine.last; ++i) step(i, std::integral_constant<int, 1>());
      }
    }
  } else {
    for (std::int64_t i = mine.first + threadIdx.x; i < mine.last; i += threads)
      step(i, std::integral_constant<int, 1>());
  }
}

template <int n, typename P, typename T>
__device__ void store_rounded(P* to, const Pack<T, n>& values) {
  Pack<P, n> rounded;
#pragma unroll
  for (int k = 0; k < n; ++k) rounded.at[k] = static_cast<P>(values.at[k]);
  store_pack(to, rounded);
}

template <typename T>
struct AdamConstants {
  T rest1, beta2, rest2, eps, decay;
};

template <typename P>
__global__ void adam_kernel(const TensorList<5> list, AdamConstants<Arithmetic<P>> c, AdamScalars by_value,
                            const AdamScalars* on_device) {
  using T = Arithmetic<P>;
  const Part mine = list.mine(part<T>);
  auto* const p = static_cast<P*>(list.at[0][mine.tensor]);
  const auto* const grad = static_cast<const P*>(list.at[1][mine.tensor]);
  auto* const exp_avg = static_cast<T*>(list.at[2][mine.tensor]);
  auto* const exp_avg_sq = static_cast<T*>(list.at[3][mine.tensor]);
  auto* const master = static_cast<T*>(list.at[4][mine.tensor]);
  const AdamScalars s = on_device ? *on_device : by_value;
  const T keep = static_cast<T>(s.keep), step_size = static_cast<T>(s.step_size);
  const T root_correction = static_cast<T>(s.root_correction);
  const bool packs = allow_packs<step_pack<T>>(p, grad, exp_avg, exp_avg_sq, master);
  for_part<step_pack<T>>(mine, packs, [&](std::int64_t i, auto size) {
    constexpr int n = decltype(size)::value;
    const auto g = load_pack<n>(grad + i);
    auto w = load_pack<n>(master + i);
    auto m = load_pack<n>(exp_avg + i);
    auto v = load_pack<n>(exp_avg_sq + i);
#pragma unroll
    for (int k = 0; k < n; ++k) {
      const T d = static_cast<T>(g.at[k]) + c.decay * w.at[k];
      m.at[k] += c.rest1 * (d - m.at[k]);
      v.at[k] = c.beta2 * v.at[k] + c.rest2 * d * d;
      w.at[k] = w.at[k] * keep - step_size * (m.at[k] / (sqrt(v.at[k]) / root_correction + c.eps));
    }
    store_pack(exp_avg + i, m);
    store_pack(exp_avg_sq + i, v);
    store_pack(master + i, w);
    if constexpr (!std::is_same_v<P, T>) store_rounded(p + i, w);
  });
}

template <typename T>
struct SgdConstants {
  T decay, momentum, rest;
  bool nesterov;
};

template <typename P, bool with_momentum>
__global__ void sgd_kernel(const TensorList<4> list, SgdConstants<Arithmetic<P>> c, SgdScalars by_value,
                           const SgdScalars* on_device) {
  using T = Arithmetic<P>;
  const Part mine = list.mine(part<T>);
  auto* const p = static_cast<P*>(list.at[0][mine.tensor]);
  const auto* const grad = static_cast<const P*>(list.at[1][mine.tensor]);
  auto* const buffer = static_cast<T*>(list.at[2][mine.tensor]);
  auto* const master = static_cast<T*>(list.at[3][mine.tensor]);
  const SgdScalars s = on_device ? *on_device : by_value;
  const T lr = static_cast<T>(s.lr);
  const T of_buffer = s.first ? T(0) : c.momentum, of_grad = s.first ? T(1) : c.rest;
  const T ahead = c.nesterov ? c.momentum : T(1), direct = c.nesterov ? T(1) : T(0);
  const bool packs = allow_packs<step_pack<T>>(p, grad, buffer, master);
  for_part<step_pack<T>>(mine, packs, [&](std::int64_t i, auto size) {
    constexpr int n = decltype(size)::value;
    const auto g = load_pack<n>(grad + i);
    auto w = load_pack<n>(master + i);
    Pack<T, n> b;
    if constexpr (with_momentum) b = load_pack<n>(buffer + i);
#pragma unroll
    for (int k = 0; k < n; ++k) {
      T d = static_cast<T>(g.at[k]) + c.decay * w.at[k];
      if constexpr (with_momentum) {
        b.at[k] = of_buffer * b.at[k] + of_grad * d;
        d = direct * d + ahead * b.at[k];
      }
      w.at[k] -= lr * d;
    }
    if constexpr (with_momentum) store_pack(buffer + i, b);
    store_pack(master + i, w);
    if constexpr (!std::is_same_v<P, T>) store_rounded(p + i, w);
  });
}

bool equal(const AdamArgs& a, const AdamArgs& b) {
  return a.dtype == b.dtype && a.beta1 == b.beta1 && a.beta2 == b.beta2 && a.eps == b.eps &&
         a.weight_decay == b.weight_decay && a.on_device == b.on_device && a.scalars.keep == b.scalars.keep &&
         a.scalars.step_size == b.scalars.step_size && a.scalars.root_correction == b.scalars.root_correction;
}
bool equal(const SgdArgs& a, const SgdArgs& b) {
  return a.dtype == b.dtype && !a.buffer == !b.buffer && a.nesterov == b.nesterov &&
         a.momentum == b.momentum && a.dampening == b.dampening && a.weight_decay == b.weight_decay &&
         a.on_device == b.on_device && a.scalars.lr == b.scalars.lr && a.scalars.first == b.scalars.first;
}

// Calls f.operator()<P>(tensors) for those that have dtype P and all options in common.
template <typename Args, typename F>
void for_each_alike(std::span<const Args> tensors, F&& f) {
  std::vector<std::vector<const Args*>> kinds;
  for (const Args& args : tensors) {
    const auto is_same = [&](const auto& kind) { return equal(*kind.front(), args); };
    auto kind = std::find_if(kinds.begin(), kinds.end(), is_same);
    if (kind == kinds.end()) kind = kinds.insert(kind, std::vector<const Args*>());
    kind->push_back(&args);
  }
  for (const auto& kind : kinds) {
    visit_dtype(kind.front()->dtype, [&]<typename P>() {
      if constexpr (!std::is_integral_v<P>) f.template operator()<P>(kind);
    });
  }
}

template <typename Args>
void* master_of(const Args& args) {
  return size_of(args.dtype) == 2 ? args.master : args.parameter;
}

}  // namespace

void AdamStep::cuda(std::span<const AdamArgs> tensors) {
  for_each_alike(tensors, [&]<typename P>(const std::vector<const AdamArgs*>& kind) {
    using T = Arithmetic<P>;
    const auto value = [](double x) { return static_cast<T>(x); };
    const AdamArgs& o = *kind.front();
    const AdamConstants<T> c{value(1 - o.beta1), value(o.beta2), value(1 - o.beta2), value(o.eps),
                             value(o.weight_decay)};
    const auto launch = [&](const TensorList<5>& list, unsigned blocks) {
      run(name, adam_kernel<P>, {blocks, threads}, list, c, o.scalars, o.on_device);
    };
    TensorLists<5, decltype(launch)> lists(part<T>, launch);
    for (const auto* args : kind)
      lists.add(args->count, args->parameter, args->grad, args->exp_avg, args->exp_avg_sq, master_of(*args));
    lists.flush();
  });
}

void SgdStep::cuda(std::span<const SgdArgs> tensors) {
  for_each_alike(tensors, [&]<typename P>(const std::vector<const SgdArgs*>& kind) {
    using T = Arithmetic<P>;
    const auto value = [](double x) { return static_cast<T>(x); };
    const SgdArgs& o = *kind.front();
    const SgdConstants<T> c{value(o.weight_decay), value(o.momentum), value(1 - o.dampening), o.nesterov};
    const auto launch = [&](const TensorList<4>& list, unsigned blocks) {
      run(name, o.buffer ? sgd_kernel<P, true> : sgd_kernel<P, false>, {blocks, threads}, list, c, o.scalars,
          o.on_device);
    };
    TensorLists<4, decltype(launch)> lists(part<T>, launch);
    for (const auto* args : kind)
      lists.add(args->count, args->parameter, args->grad, args->buffer, master_of(*args));
    lists.flush();
  });
}

}  // namespace tutti::kernels
