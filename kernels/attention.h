// Attention without a matrix of all scores in memory.
#pragma once

#include <cstdint>

#include "kernels/launch.h"
#include "tutti/core/dtype.h"
#include "tutti/core/shape.h"

namespace tutti::kernels {

// The dimensions in front of the matrices; of all of them at once, the last one running fastest, a head is the i-th.
struct HeadBatch {
  static constexpr int max_rank = Shape::max_rank - 2;
  int rank;
  std::int64_t sizes[max_rank];
};

// A matrix of each head, its rows, dense, `ld` apart; `strides` are those of the batch. By value, so that a GPU has it too.
struct HeadMatrices {
  void* data;
  std::int64_t ld;
  std::int64_t strides[HeadBatch::max_rank];
};

// `Index` has room for the number of heads: a GPU divides 32 bits far sooner than 64.
template <typename Index>
constexpr std::int64_t offset_of_head(const HeadBatch& batch, const HeadMatrices& x, Index head) {
  std::int64_t offset = 0;
  for (int d = batch.rank - 1; d >= 0; --d) {
    const auto size = static_cast<Index>(batch.sizes[d]), rest = static_cast<Index>(head / size);
    offset += static_cast<std::int64_t>(head - rest * size) * x.strides[d];
    head = rest;
  }
  return offset;
}

// q [queries, width], k [keys, width], v [keys, value_width] of each of `heads`, all sizes at least 1. With `causal` query i
// sees the keys up to i + keys - queries. f32 or f64; on a GPU also bf16 and f16, and widths up to `most_cuda_width`.
struct AttentionArgs {
  static constexpr std::int64_t most_cuda_width = 256;
  DType dtype;
  std::int64_t heads, queries, keys, width, value_width;
  bool causal;
  double scale;
  HeadBatch batch;
  HeadMatrices q, k, v;
};

// out [queries, value_width] = softmax(scale q k^T) v, 0 for a query that sees no key. log_sums [heads, queries] =
// log sum exp of the scores that a query sees, for the gradient; f32 where the dtype has 16 bits.
//
// On the CPU a block of queries has all of its scores at once, so each is computed once and no sum is rescaled; they stay in
// the cache, and what causality hides is not computed. T. Dao et al., "FlashAttention", NeurIPS 2022, without its blocks of
// keys: a core has room for rows of scores.
struct Attention {
  static constexpr const char* name = "attention";
  static void cpu(const AttentionArgs& args, const HeadMatrices& out, void* log_sums);
  static void cuda(const AttentionArgs& args, const HeadMatrices& out, void* log_sums);
};

// Gradients of q, k and v from that of out, `g`. Scores are computed again.
struct AttentionGrad {
  static constexpr const char* name = "attention_grad";
  static void cpu(const AttentionArgs& args, const HeadMatrices& out, const void* log_sums,
                  const HeadMatrices& g, const HeadMatrices& dq, const HeadMatrices& dk,
                  const HeadMatrices& dv);
  static void cuda(const AttentionArgs& args, const HeadMatrices& out, const void* log_sums,
                   const HeadMatrices& g, const HeadMatrices& dq, const HeadMatrices& dk,
                   const HeadMatrices& dv);
};

}  // namespace tutti::kernels
