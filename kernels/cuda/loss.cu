#include "kernels/loss.h"

#include <algorithm>

#include "kernels/cuda/rows.cuh"

namespace tutti::kernels {
namespace {

template <typename T>
struct Scores {
  std::int64_t rows, classes;
  const T* logits;
  const std::int64_t* targets;
  std::int64_t ignored;
  Arithmetic<T> smoothing;

  __device__ bool is_bad(std::int64_t target) const { return target < 0 || target >= classes; }
};

// One look at the logits: what a thread has is scaled to the largest so far.
template <typename T, typename Plan>
__global__ __launch_bounds__(Plan::threads) void cross_entropy_kernel(const Scores<T> of, Arithmetic<T>* loss,
                                                                      Arithmetic<T>* log_sums) {
  using C = Arithmetic<T>;
  using Column = typename Plan::Column;
  constexpr C least = -std::numeric_limits<C>::infinity();
  const bool idle = Plan::row() >= of.rows;
  const std::int64_t row = idle ? of.rows - 1 : Plan::row();
  const Column classes = static_cast<Column>(of.classes);
  const T* const x = of.logits + row * of.classes;
  const std::int64_t target = of.targets[row];
  const bool is_ignored = target == of.ignored;
  C own = least, sum = 0, total = 0;
  // Rows that are ignored are not read; their team may share a warp with others.
  for_each_piece<Plan>(classes, [&](Column first) {
    Piece<Plan, T> piece;
    piece.load(x, first, is_ignored ? Column{0} : classes, T(-std::numeric_limits<float>::infinity()));
    C next = own;
#pragma unroll
    for (int p = 0; p < Plan::packs; ++p) {
#pragma unroll
      for (int k = 0; k < Plan::n; ++k)
        next = max(next, static_cast<C>(piece.at[p][k]));  // NaN shows in the sum
    }
    const C shift = next == least ? C(0) : next;  // what began with -inf would become NaN
    C added = 0;
#pragma unroll
    for (int p = 0; p < Plan::packs; ++p) {
#pragma unroll
      for (int k = 0; k < Plan::n; ++k) added += exp_of<T>(static_cast<C>(piece.at[p][k]), shift);
    }
    sum = sum * exp_of<T>(own, shift) + added;
    own = next;
    if (of.smoothing != C(0) && !is_ignored) {
      C part = 0;
      for_each_pack<Plan>(first, classes, [&](int p, Column) {
#pragma unroll
        for (int k = 0; k < Plan::n; ++k) part += static_cast<C>(piece.at[p][k]);
      });
      total += part;
    }
  });
  const C largest = reduce_team<Plan>(own, Largest());
  sum = reduce_team<Plan>(own == least ? sum : sum * exp(own - largest), Sum());
  if (of.smoothing != C(0)) total = reduce_team<Plan>(total, Sum());
  if (idle || Plan::lane() != 0) return;
  C of_row = 0, log_sum = 0;
  if (!is_ignored && of.is_bad(target)) {
    of_row = log_sum = std::numeric_limits<C>::quiet_NaN();
  } else if (!is_ignored) {
    // In two parts: their sum would swallow the digits of a small loss.
    const C rest = log(sum);
    log_sum = largest + rest;
    of_row = rest - (static_cast<C>(x[target]) - largest);
    if (of.smoothing != C(0)) {
      const C over_all = rest - (total / static_cast<C>(of.classes) - largest);
      of_row = (C(1) - of.smoothing) * of_row + of.smoothing * over_all;
    }
  }
  loss[row] = of_row;
  log_sums[row] = log_sum;
}

// `out` may be the logits: each thread reads only what it writes.
template <typename T, typename Plan>
__global__ __launch_bounds__(Plan::threads) void cross_entropy_grad_kernel(const Scores<T> of,
                                                                           const Arithmetic<T>* log_sums,
                                                                           const Arithmetic<T>* g,
                                                                           std::int64_t g_step, T* out) {
  using C = Arithmetic<T>;
  using Column = typename Plan::Column;
  const std::int64_t row = Plan::row();
  if (row >= of.rows) return;
  const Column classes = static_cast<Column>(of.classes);
  const std::int64_t target = of.targets[row];
  const bool is_ignored = target == of.ignored;
  const C even = of.smoothing / static_cast<C>(of.classes), log_sum = log_sums[row],
          of_loss = g[row * g_step];
  const T* const x = of.logits + row * of.classes;
  for_each_piece<Plan>(classes, [&](Column first) {
    Piece<Plan, T> piece;
    piece.load(x, first, is_ignored ? Column{0} : classes, T(0.0f));
#pragma unroll
    for (int p = 0; p < Plan::packs; ++p) {
      const Column column = Piece<Plan, T>::column_of(first, p);
#pragma unroll
      for (int k = 0; k < Plan::n; ++k) {
        C slope = exp_of<T>(static_cast<C>(piece.at[p][k]), log_sum) - even;
        if (column + k == target) slope -= C(1) - of.smoothing;
        piece.at[p][k] = T(is_ignored ? C(0) : of_loss * slope);
      }
    }
    piece.store(out + row * of.classes, first, classes);
  });
}

// Calls `f.template operator()<Plan>()`.
template <typename T, typename F>
void with_plan(std::int64_t classes, bool packed, F f) {
  constexpr int n = in_16_bytes<T>;
  if (packed && classes <= 32 * 4 * n) return f.template operator()<RowPlan<n, 4, 32, true>>();
  if (packed) return f.template operator()<RowPlan<n, 4, 256, false>>();
  if (classes <= 8 * 4) return f.template operator()<RowPlan<1, 4, 8, true>>();
  f.template operator()<RowPlan<1, 8, 256, false>>();
}

// Calls f(scores) with what `args` say.
template <typename F>
void with_scores(const CrossEntropyArgs& args, F f) {
  if (args.rows == 0) return;
  visit_dtype(args.dtype, [&]<typename T>() {
    using C = Arithmetic<T>;
    if constexpr (std::is_floating_point_v<C>) {
      f(Scores<T>{args.rows, args.classes, static_cast<const T*>(args.logits), args.targets, args.ignored,
                  static_cast<C>(args.smoothing)});
    }
  });
}

// -(t log sigmoid(x) + (1 - t) log(1 - sigmoid(x)))
template <typename T, int n>
__global__ void binary_cross_entropy_kernel(const T* x, const T* targets, Arithmetic<T>* out,
                                            std::int64_t packs) {
  using C = Arithmetic<T>;
  const std::int64_t step = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < packs; i += step) {
    const auto scores = load_pack<n>(x + i * n), wanted = load_pack<n>(targets + i * n);
#pragma unroll
    for (int k = 0; k < n; ++k) {
      const C a = static_cast<C>(scores.at[k]), t = static_cast<C>(wanted.at[k]);
      out[i * n + k] = (a > C(0) ? a : a != a ? a : C(0)) - a * t + log1p(exp(-fabs(a)));
    }
  }
}

}  // namespace

void CrossEntropy::cuda(const CrossEntropyArgs& args, void* loss, void* log_sums) {
  with_scores(args, [&]<typename T>(const Scores<T>& of) {
    using C = Arithmetic<T>;
    with_plan<T>(of.classes, fits_packs<in_16_bytes<T>>(of.classes, of.logits), [&]<typename Plan>() {
      run(name, cross_entropy_kernel<T, Plan>, {Plan::blocks(of.rows), Plan::threads}, of,
          static_cast<C*>(loss), static_cast<C*>(log_sums));
    });
  });
}

void CrossEntropyGrad::cuda(const CrossEntropyArgs& args, const void* log_sums, const void* g,
                            std::int64_t g_step, void* out) {
  if (args.classes == 0) return;
  with_scores(args, [&]<typename T>(const Scores<T>& of) {
    using C = Arithmetic<T>;
    auto* to = static_cast<T*>(out);
    with_plan<T>(of.classes, fits_packs<in_16_bytes<T>>(of.classes, of.logits, to), [&]<typename Plan>() {
      run(name, cross_entropy_grad_kernel<T, Plan>, {Plan::blocks(of.rows), Plan::threads}, of,
          static_cast<const C*>(log_sums), static_cast<const C*>(g), g_step, to);
    });
  });
}

void BinaryCrossEntropy::cuda(DType dtype, const void* from, const void* wanted, void* to,
                              std::int64_t count) {
  if (count == 0) return;
  visit_dtype(dtype, [&]<typename T>() {
    using C = Arithmetic<T>;
    if constexpr (std::is_floating_point_v<C>) {
      constexpr int n = in_16_bytes<T>;
      constexpr std::int64_t threads = 256, most_blocks = 1 << 14;
      const auto* x = static_cast<const T*>(from);
      const auto* targets = static_cast<const T*>(wanted);
      const bool packed = fits_packs<n>(count, x, targets);
      const std::int64_t packs = packed ? count / n : count;
      const auto blocks = static_cast<unsigned>(std::min((packs + threads - 1) / threads, most_blocks));
      run(name, packed ? binary_cross_entropy_kernel<T, n> : binary_cross_entropy_kernel<T, 1>,
          {blocks, static_cast<unsigned>(threads)}, x, targets, static_cast<C*>(to), packs);
    }
  });
}

}  // namespace tutti::kernels
