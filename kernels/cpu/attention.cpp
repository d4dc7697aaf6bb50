#include "kernels/attention.h"

#include <algorithm>
#include <cmath>

#include "core/parallel_for.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/workspace.h"
#include "kernels/gemm.h"
#include "kernels/multiversion.h"

namespace tutti::kernels {
namespace {

constexpr std::int64_t block = 64;  // queries

template <typename T>
T* head(const AttentionArgs& a, const HeadMatrices& x, std::int64_t i, std::int64_t row = 0) {
  return static_cast<T*>(x.data) + offset_of_head(a.batch, x, i) + row * x.ld;
}

std::int64_t visible_keys(const AttentionArgs& a, std::int64_t query) {
  return a.causal ? std::clamp<std::int64_t>(query + 1 + a.keys - a.queries, 0, a.keys) : a.keys;
}

// out [rows, keys] = scale q k^T of some queries and the keys up to `keys`.
template <typename T>
void score(const AttentionArgs& a, std::int64_t h, std::int64_t first, std::int64_t rows, std::int64_t keys,
           T* out) {
  gemm_tile<T>({.b_transposed = true,
                .m = rows,
                .n = keys,
                .k = a.width,
                .a = head<T>(a, a.q, h, first),
                .lda = a.q.ld,
                .b = head<T>(a, a.k, h),
                .ldb = a.k.ld,
                .c = out,
                .ldc = keys,
                .alpha = static_cast<T>(a.scale)});
}

// exp(x - max) in place. Returns log sum exp(x) and the factor that makes the sum 1.
template <typename T>
struct RowSum {
  T logarithm, factor;
};
template <typename T>
TUTTI_MULTIVERSION RowSum<T> exponentials(T* x, std::int64_t n) {
  const T largest = lane_max(x, n);
  for (std::int64_t i = 0; i < n; ++i) x[i] = vexp_small(x[i] - largest);
  const T sum = lane_sum<T>(n, [x](std::int64_t i) { return x[i]; });
  return {largest + std::log(sum), T(1) / sum};
}

template <typename T>
TUTTI_MULTIVERSION void scale_row(T* x, T factor, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) x[i] *= factor;
}

template <typename T>
TUTTI_MULTIVERSION T dot(const T* a, const T* b, std::int64_t n) {
  return lane_sum<T>(n, [=](std::int64_t i) { return a[i] * b[i]; });
}

// scores become probabilities, and the gradients `g` of those become the gradients of the scores.
template <typename T>
TUTTI_MULTIVERSION void softmax_grad(T* scores, T log_sum, T* g, T mean, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    scores[i] = vexp_small(scores[i] - log_sum);
    g[i] = scores[i] * (g[i] - mean);
  }
}

template <typename T>
void forward(const AttentionArgs& a, const HeadMatrices& out, T* log_sums, std::int64_t h,
             std::int64_t first) {
  const std::int64_t rows = std::min(block, a.queries - first), keys = visible_keys(a, first + rows - 1);
  T* const to = head<T>(a, out, h, first);
  log_sums += h * a.queries + first;
  if (keys == 0) {
    for (std::int64_t i = 0; i < rows; ++i) std::fill_n(to + i * out.ld, a.value_width, T(0));
    return;
  }
  Workspace<T> scores(rows * keys);
  T factors[block];
  score<T>(a, h, first, rows, keys, scores.data());
  for (std::int64_t i = 0; i < rows; ++i) {
    T* const row = scores.data() + i * keys;
    const std::int64_t n = visible_keys(a, first + i);
    const auto sum = n > 0 ? exponentials(row, n) : RowSum<T>{T(0), T(0)};
    std::fill(row + n, row + keys, T(0));
    log_sums[i] = sum.logarithm;
    factors[i] = sum.factor;
  }
  gemm_tile<T>({.m = rows,
                .n = a.value_width,
                .k = keys,
                .a = scores.data(),
                .lda = keys,
                .b = head<T>(a, a.v, h),
                .ldb = a.v.ld,
                .c = to,
                .ldc = out.ld});
  for (std::int64_t i = 0; i < rows; ++i) scale_row(to + i * out.ld, factors[i], a.value_width);
}

// A block of queries adds to the gradients of the keys and values that it sees. The last one, which sees the most, sets them
// instead.
template <typename T>
void backward(const AttentionArgs& a, const HeadMatrices& out, const T* log_sums, const HeadMatrices& g,
              const HeadMatrices& dq, const HeadMatrices& dk, const HeadMatrices& dv, std::int64_t h) {
  const T scale = static_cast<T>(a.scale);
  Workspace<T> memory(2 * std::min(block, a.queries) * a.keys);
  T beta = 0;
  for (std::int64_t first = (a.queries - 1) / block * block; first >= 0; first -= block) {
    const std::int64_t rows = std::min(block, a.queries - first), keys = visible_keys(a, first + rows - 1);
    if (keys == 0) {
      for (std::int64_t i = 0; i < rows; ++i) std::fill_n(head<T>(a, dq, h, first + i), a.width, T(0));
      continue;
    }
    T* const scores = memory.data();
    T* const of_scores = scores + rows * keys;
    const T* const gradient = head<T>(a, g, h, first);
    score<T>(a, h, first, rows, keys, scores);
    gemm_tile<T>({.b_transposed = true,
                  .m = rows,
                  .n = keys,
                  .k = a.value_width,
                  .a = gradient,
                  .lda = g.ld,
                  .b = head<T>(a, a.v, h),
                  .ldb = a.v.ld,
                  .c = of_scores,
                  .ldc = keys});
    for (std::int64_t i = 0; i < rows; ++i) {
      const std::int64_t n = visible_keys(a, first + i);
      const T mean = dot(gradient + i * g.ld, head<T>(a, out, h, first + i), a.value_width);
      softmax_grad(scores + i * keys, log_sums[h * a.queries + first + i], of_scores + i * keys, mean, n);
      for (T* row : {scores + i * keys, of_scores + i * keys}) std::fill(row + n, row + keys, T(0));
    }
    gemm_tile<T>({.a_transposed = true,
                  .m = keys,
                  .n = a.value_width,
                  .k = rows,
                  .a = scores,
                  .lda = keys,
                  .b = gradient,
                  .ldb = g.ld,
                  .beta = beta,
                  .c = head<T>(a, dv, h),
                  .ldc = dv.ld});
    gemm_tile<T>({.a_transposed = true,
                  .m = keys,
                  .n = a.width,
                  .k = rows,
                  .a = of_scores,
                  .lda = keys,
                  .b = head<T>(a, a.q, h, first),
                  .ldb = a.q.ld,
                  .beta = beta,
                  .c = head<T>(a, dk, h),
                  .ldc = dk.ld,
                  .alpha = scale});
    gemm_tile<T>({.m = rows,
                  .n = a.width,
                  .k = keys,
                  .a = of_scores,
                  .lda = keys,
                  .b = head<T>(a, a.k, h),
                  .ldb = a.k.ld,
                  .c = head<T>(a, dq, h, first),
                  .ldc = dq.ld,
                  .alpha = scale});
    beta = 1;
  }
}

// Heads that make a piece for a thread, by the work of `queries` of one.
std::int64_t piece_heads(const AttentionArgs& a, std::int64_t queries) {
  return std::max<std::int64_t>(1, 500'000 / (queries * a.keys * (a.width + a.value_width)));
}

}  // namespace

void Attention::cpu(const AttentionArgs& args, const HeadMatrices& out, void* log_sums) {
  const std::int64_t blocks = (args.queries + block - 1) / block;
  const auto run = [&]<typename T>(T) {
    parallel_for(args.heads * blocks, piece_heads(args, std::min(block, args.queries)),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i)
                     forward(args, out, static_cast<T*>(log_sums), i / blocks, i % blocks * block);
                 });
  };
  args.dtype == DType::f64 ? run(double{}) : run(float{});
}

void AttentionGrad::cpu(const AttentionArgs& args, const HeadMatrices& out, const void* log_sums,
                        const HeadMatrices& g, const HeadMatrices& dq, const HeadMatrices& dk,
                        const HeadMatrices& dv) {
  const auto run = [&]<typename T>(T) {
    parallel_for(args.heads, piece_heads(args, args.queries), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t h = begin; h < end; ++h)
        backward(args, out, static_cast<const T*>(log_sums), g, dq, dk, dv, h);
    });
  };
  args.dtype == DType::f64 ? run(double{}) : run(float{});
}

}  // namespace tutti::kernels
