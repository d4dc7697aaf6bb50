// Gradients of attention on tensor cores. The gradient of q has a kernel of its own, which makes the scores again: seven products
// instead of five, but nothing is added up between blocks, so the bits are the same each time. Both are made as attention
// itself is: a block keeps the rows that it makes the gradients of and goes through all others.
#include <algorithm>
#include <numbers>

#include "kernels/cuda/attention_mma.cuh"

namespace tutti::kernels {
namespace {

constexpr int warps = 4, threads = 32 * warps;

struct GradArgs {
  AttentionArgs a;
  HeadMatrices g, dq, dk, dv;
  const RowSums<float>* row_sums;
  float scale, scale_of_2;  // of the scores, and so that they are powers of 2
};

// dq of 128 queries, from 32 keys at a time: of queries i and keys j
//   p = exp(scale q k^T - log sum)    ds = p (g v^T - sum of g out)    dq = scale ds k
constexpr int query_m = 2, query_rows = 16 * query_m * warps, query_keys = 32;

template <typename T, int D>
__global__ void __launch_bounds__(threads, 2) attention_mma_dq_kernel(const __grid_constant__ GradArgs x) {
  constexpr int m = query_m, n = query_keys;
  const Tile<T, D> q{dynamic_shared<T>()}, g = q.behind(query_rows), k = g.behind(query_rows),
                                           v = k.behind(2 * n);
  const AttentionArgs& a = x.a;
  const Sight sight(a);
  const int tiles = blocks_of(sight.queries, query_rows), tile = static_cast<int>(blockIdx.x % tiles);
  const unsigned head = blockIdx.x / tiles;
  const int first = (tiles - 1 - tile) * query_rows;
  const int lane = static_cast<int>(lane_of_warp()), row = static_cast<int>(threadIdx.x) / 32 * 16 * m;
  const Rows<T> keys(a, a.k, head, a.keys, a.width), values(a, a.v, head, a.keys, a.value_width);
  const int blocks = blocks_of(sight.end(min(first + query_rows, sight.queries) - 1), n);
  const int least = sight.end(first + row),
            most = first + row < sight.queries ? sight.end(min(first + row + 16 * m, sight.queries) - 1) : 0;

  float log_sum[m][2], mean[m][2];
#pragma unroll
  for (int i = 0; i < 2 * m; ++i) {
    const int query = min(first + row + i / 2 * 16 + lane / 4 + i % 2 * 8, sight.queries - 1);
    const auto& two = *row_sums_at(x.row_sums, head, sight.queries, query);
    log_sum[i / 2][i % 2] = two.log_sum[query % 2];
    mean[i / 2][i % 2] = two.mean[query % 2];
  }
  if (blocks > 0) {
    copy_tile<query_rows, threads>(q, Rows<T>(a, a.q, head, a.queries, a.width), first);
    copy_tile<query_rows, threads>(g, Rows<T>(a, x.g, head, a.queries, a.value_width), first);
    copy_tile<n, threads>(k, keys, 0);
    copy_tile<n, threads>(v, values, 0);
  }
  cp_async_commit();
  Product<m, D> dq = {};
  for (int j = 0; j < blocks; ++j) {
    cp_async_wait<0>();
    __syncthreads();  // block j is there, and the one before has been used
    if (j + 1 < blocks) {
      copy_tile<n, threads>(k.behind((j + 1) % 2 * n), keys, (j + 1) * n);
      copy_tile<n, threads>(v.behind((j + 1) % 2 * n), values, (j + 1) * n);
    }
    cp_async_commit();
    if (j * n >= most) continue;
    Product<m, n> s = {}, dp = {};
    multiply_transposed<m, n>(s, q, row, k.behind(j % 2 * n));
    multiply_transposed<m, n>(dp, g, row, v.behind(j % 2 * n));
    const bool masks = (j + 1) * n > least;
#pragma unroll
    for (int i = 0; i < 2 * m; ++i) {
      const int end = sight.end(first + row + i / 2 * 16 + lane / 4 + i % 2 * 8) - j * n - lane % 4 * 2;
#pragma unroll
      for (int c = 0; c < 2 * (n / 8); ++c) {
        float& of_score = s[i / 2][c / 2][i % 2 * 2 + c % 2];
        of_score = fast_exp2(of_score * x.scale_of_2 - log_sum[i / 2][i % 2]) *
                   (dp[i / 2][c / 2][i % 2 * 2 + c % 2] - mean[i / 2][i % 2]);
        if (masks && c / 2 * 8 + c % 2 >= end) of_score = 0;
      }
    }
    Operand16<m, n> ds;
    rounded<T, m, n>(ds, s);
    multiply<m, n>(dq, ds, k.behind(j % 2 * n));
  }
  float factor[m][2];
#pragma unroll
  for (int i = 0; i < 2 * m; ++i) factor[i / 2][i % 2] = x.scale;
  store_rows<m>(Rows<T>(a, x.dq, head, a.queries, a.width), first + row, dq, factor, q, row);
}

// dk and dv of the keys of a block, from `n` queries at a time: p and ds as above, transposed, so that they are operands where
// they are:
//   dv = p^T g    dk = scale ds^T q
template <int D>
struct KeyBlock {
  static constexpr int m = D <= 64 ? 2 : 1, n = 32, rows = 16 * m * warps;
};

template <typename T, int D>
__global__ void __launch_bounds__(threads, 2) attention_mma_dkv_kernel(const __grid_constant__ GradArgs x) {
  constexpr int m = KeyBlock<D>::m, n = KeyBlock<D>::n, rows = KeyBlock<D>::rows;
  const Tile<T, D> k{dynamic_shared<T>()}, v = k.behind(rows), q = v.behind(rows), g = q.behind(2 * n);
  auto* const sums = reinterpret_cast<RowSums<float>*>(g.behind(2 * n).data);
  const AttentionArgs& a = x.a;
  const Sight sight(a);
  const int tiles = blocks_of(sight.keys, rows);
  const unsigned head = blockIdx.x / tiles;
  const int first = static_cast<int>(blockIdx.x % tiles) * rows;  // those that most queries see begin
  const int lane = static_cast<int>(lane_of_warp()), row = static_cast<int>(threadIdx.x) / 32 * 16 * m;
  const Rows<T> queries(a, a.q, head, a.queries, a.width), gradients(a, x.g, head, a.queries, a.value_width);
  const int blocks = blocks_of(sight.queries, n), from = min(sight.first_query(first) / n, blocks);
  // Queries before this one do not see this warp's first key, from the other one on they see all of its keys.
  const int least = first + row < sight.keys ? sight.first_query(first + row) : sight.queries;
  const int all = sight.first_query(first + row + 16 * m - 1);

  const auto copy = [&](int j) {
    copy_tile<n, threads>(q.behind(j % 2 * n), queries, j * n);
    copy_tile<n, threads>(g.behind(j % 2 * n), gradients, j * n);
    if (threadIdx.x < n / 2) {
      const int pair = static_cast<int>(threadIdx.x);
      cp_async_16(sums + j % 2 * n / 2 + pair, row_sums_at(x.row_sums, head, sight.queries, j * n + 2 * pair),
                  true);
    }
  };
  if (from < blocks) {
    copy_tile<rows, threads>(k, Rows<T>(a, a.k, head, a.keys, a.width), first);
    copy_tile<rows, threads>(v, Rows<T>(a, a.v, head, a.keys, a.value_width), first);
    copy(from);
  }
  cp_async_commit();
  Product<m, D> dk = {}, dv = {};
  for (int j = from; j < blocks; ++j) {
    cp_async_wait<0>();
    __syncthreads();
    if (j + 1 < blocks) copy(j + 1);
    cp_async_commit();
    if ((j + 1) * n <= least) continue;
    Product<m, n> s = {}, dp = {};
    multiply_transposed<m, n>(s, k, row, q.behind(j % 2 * n));
    multiply_transposed<m, n>(dp, v, row, g.behind(j % 2 * n));
    const bool masks = j * n < all;
#pragma unroll
    for (int c = 0; c < n / 8; ++c) {
      const auto two = sums[(j % 2 * n + c * 8) / 2 + lane % 4];
#pragma unroll
      for (int i = 0; i < 2 * m; ++i) {
        const int least_query =
            sight.first_query(first + row + i / 2 * 16 + lane / 4 + i % 2 * 8) - j * n - lane % 4 * 2;
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          float &p = s[i / 2][c][i % 2 * 2 + e], &ds = dp[i / 2][c][i % 2 * 2 + e];
          p = fast_exp2(p * x.scale_of_2 - two.log_sum[e]);
          ds = p * (ds - two.mean[e]);
          if (masks && c * 8 + e < least_query) p = ds = 0;
        }
      }
    }
    Operand16<m, n> operand;
    rounded<T, m, n>(operand, s);
    multiply<m, n>(dv, operand, g.behind(j % 2 * n));
    rounded<T, m, n>(operand, dp);
    multiply<m, n>(dk, operand, q.behind(j % 2 * n));
  }
  float factor[m][2];
#pragma unroll
  for (int i = 0; i < 2 * m; ++i) factor[i / 2][i % 2] = 1;
  store_rows<m>(Rows<T>(a, x.dv, head, a.keys, a.value_width), first + row, dv, factor, v, row);
#pragma unroll
  for (int i = 0; i < 2 * m; ++i) factor[i / 2][i % 2] = x.scale;
  store_rows<m>(Rows<T>(a, x.dk, head, a.keys, a.width), first + row, dk, factor, k, row);
}

void start(void (*kernel)(GradArgs), const GradArgs& x, std::int64_t rows, int block_rows,
           std::size_t shared) {
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)),
        AttentionGrad::name);
  const auto blocks = x.a.heads * blocks_of(static_cast<int>(rows), block_rows);
  run(AttentionGrad::name, kernel, {static_cast<unsigned>(blocks), threads, shared}, x);
}

template <typename T, int D>
void start(const GradArgs& x) {
  constexpr std::size_t row = Tile<T, D>::row_size * sizeof(T);
  start(attention_mma_dq_kernel<T, D>, x, x.a.queries, query_rows, (2 * query_rows + 4 * query_keys) * row);
  constexpr int keys = KeyBlock<D>::rows, queries = KeyBlock<D>::n;
  start(attention_mma_dkv_kernel<T, D>, x, x.a.keys, keys,
        (2 * keys + 4 * queries) * row + queries * sizeof(RowSums<float>));
}

}  // namespace

void attention_mma_grad(const AttentionArgs& args, const RowSums<float>* row_sums, const HeadMatrices& g,
                        const HeadMatrices& dq, const HeadMatrices& dk, const HeadMatrices& dv) {
  const GradArgs x{args,
                   g,
                   dq,
                   dk,
                   dv,
                   row_sums,
                   static_cast<float>(args.scale),
                   static_cast<float>(args.scale * std::numbers::log2e)};
  const auto width = std::max(args.width, args.value_width);
  const auto choose = [&]<typename T>(T) {
    if (width <= 64) return start<T, 64>(x);
    if (width <= 96) return start<T, 96>(x);
    start<T, 128>(x);
  };
  args.dtype == DType::bf16 ? choose(bfloat16{}) : choose(float16{});
}

}  // namespace tutti::kernels
