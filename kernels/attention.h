// Attention without a matrix of all scores in memory.
#pragma once

#include <cstdint>

#include "kernels/launch.h"
#include "tutti/core/dtype.h"

namespace tutti::kernels {

// A matrix of each head: it begins offsets[i] elements behind `data`, and its rows, dense, are `ld` apart.
struct HeadMatrices {
  void* data;
  const std::int64_t* offsets;
  std::int64_t ld;
};

// q [queries, width], k [keys, width], v [keys, value_width] of each of `heads`; f32 or f64, all sizes at least 1. With
// `causal` query i sees the keys up to i + keys - queries.
struct AttentionArgs {
  DType dtype;
  std::int64_t heads, queries, keys, width, value_width;
  bool causal;
  double scale;
  HeadMatrices q, k, v;
};

// out [queries, value_width] = softmax(scale q k^T) v, 0 for a query that sees no key. log_sums [heads, queries] =
// log sum exp of the scores that a query sees, for the gradient.
//
// A block of queries has all of its scores at once, so each is computed once and no sum is rescaled; they stay in
// the cache, and what causality hides is not computed. T. Dao et al., "FlashAttention", NeurIPS 2022, without its blocks of
// keys: a core has room for rows of scores.
struct Attention {
  static constexpr const char* name = "attention";
  static void cpu(const AttentionArgs& args, const HeadMatrices& out, void* log_sums);
};

// Gradients of q, k and v from that of out, `g`. Scores are computed again.
struct AttentionGrad {
  static constexpr const char* name = "attention_grad";
  static void cpu(const AttentionArgs& args, const HeadMatrices& out, const void* log_sums,
                  const HeadMatrices& g, const HeadMatrices& dq, const HeadMatrices& dk,
                  const HeadMatrices& dv);
};

}  // namespace tutti::kernels
