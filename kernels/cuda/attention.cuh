// What the forms of attention on a GPU share.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "kernels/attention.h"
#include "kernels/cuda/pack.cuh"

namespace tutti::kernels {

// The form for tensor cores, of bf16 and f16. Whether it takes these matrices: it loads 16 bytes at a time, and widths up to 128.
bool fits_mma(const AttentionArgs& args, std::initializer_list<const HeadMatrices*> others);
void attention_mma(const AttentionArgs& args, const HeadMatrices& out, float* log_sums);
// The form for those of an H100, of matrices that fit_mma. False, and nothing is done, where it is not made for the GPU or these
// matrices. So are the gradients.
bool attention_wgmma(const AttentionArgs& args, const HeadMatrices& out, float* log_sums);
// What the gradients need of two neighbouring queries.
template <typename C>
struct alignas(4 * sizeof(C)) RowSums {
  C log_sum[2];  // that attention gave; for tensor cores, of powers of 2
  C mean[2];     // sum of g out
};
// So many queries a head has sums of: blocks of up to 64 are whole. The log sum of what is no query is infinite, which gives
// keys no weight.
__host__ __device__ constexpr int summed_rows(int queries) { return (queries + 63) / 64 * 64; }
template <typename Sums>
__device__ __forceinline__ Sums* row_sums_at(Sums* all, unsigned head, int queries, int query) {
  return all + (std::int64_t{head} * summed_rows(queries) + query) / 2;
}
void attention_mma_grad(const AttentionArgs& args, const RowSums<float>* row_sums, const HeadMatrices& g,
                        const HeadMatrices& dq, const HeadMatrices& dk, const HeadMatrices& dv);
bool attention_wgmma_grad(const AttentionArgs& args, const RowSums<float>* row_sums, const HeadMatrices& g,
                          const HeadMatrices& dq, const HeadMatrices& dk, const HeadMatrices& dv);

// One head's matrix, [count, width].
template <typename T>
struct Rows {
  T* data;
  std::int64_t ld;
  int count, width;

  __device__ Rows(const AttentionArgs& a, const HeadMatrices& x, unsigned head, std::int64_t rows,
                  std::int64_t columns)
      : data(static_cast<T*>(x.data) + offset_of_head(a.batch, x, head)),
        ld(x.ld),
        count(static_cast<int>(rows)),
        width(static_cast<int>(columns)) {}
  __device__ T* at(int row) const { return data + row * ld; }
};

__host__ __device__ constexpr int blocks_of(int count, int size) { return (count + size - 1) / size; }

// Which keys a query sees.
struct Sight {
  int queries, keys;
  bool causal;

  __device__ explicit Sight(const AttentionArgs& a)
      : queries(static_cast<int>(a.queries)), keys(static_cast<int>(a.keys)), causal(a.causal) {}

  // It sees the keys in front of this one; behind the last query, none.
  __device__ int end(int query) const {
    if (query >= queries) return 0;
    return causal ? max(query + 1 + keys - queries, 0) : keys;
  }
  // The first query that sees the key.
  __device__ int first_query(int key) const { return causal ? max(key - (keys - queries), 0) : 0; }
};

}  // namespace tutti::kernels
