// Gradients of attention in any dtype and width, and the sums of rows that they need. The gradient of q is made by blocks of
// queries, those of k and v by blocks of keys, from scores made again: no block adds to what another one has.
#include <limits>
#include <numbers>

#include "kernels/cuda/attention_tiles.cuh"
#include "kernels/cuda/workspace.h"

namespace tutti::kernels {
namespace {

template <typename T>
struct GradArgs {
  using C = Arithmetic<T>;
  AttentionArgs a;
  HeadMatrices g, dq, dk, dv;
  const RowSums<C>* row_sums;
  C scale;
};

constexpr int sums_threads = 256, sums_rows = sums_threads / 8;  // of a block: eight lanes make one of a row

template <typename T, int n>
__global__ void row_sums_kernel(const __grid_constant__ AttentionArgs a,
                                const __grid_constant__ HeadMatrices out,
                                const __grid_constant__ HeadMatrices g, const Arithmetic<T>* log_sums,
                                Arithmetic<T> log_factor, RowSums<Arithmetic<T>>* row_sums) {
  using C = Arithmetic<T>;
  const int queries = static_cast<int>(a.queries), all = summed_rows(queries);
  const unsigned tiles = static_cast<unsigned>(all / sums_rows), head = blockIdx.x / tiles;
  const int row = static_cast<int>(blockIdx.x % tiles * sums_rows + threadIdx.x / 8);
  C sum = 0;
  if (row < queries) {
    const T* const of_out = Rows<T>(a, out, head, a.queries, a.value_width).at(row);
    const T* const of_g = Rows<T>(a, g, head, a.queries, a.value_width).at(row);
    const int width = static_cast<int>(a.value_width);
    for (int column = static_cast<int>(threadIdx.x % 8) * n; column < width; column += 8 * n) {
      const auto x = load_pack<n>(of_out + column), y = load_pack<n>(of_g + column);
#pragma unroll
      for (int e = 0; e < n; ++e) sum += static_cast<C>(x.at[e]) * static_cast<C>(y.at[e]);
    }
  }
  sum = reduce_lanes<8>(sum, Sum{});
  if (threadIdx.x % 8 != 0) return;
  auto& two = *row_sums_at(row_sums, head, queries, row);
  two.log_sum[row % 2] = row < queries ? log_sums[std::int64_t{head} * queries + row] * log_factor
                                       : std::numeric_limits<C>::infinity();
  two.mean[row % 2] = sum;
}

template <typename T, int D>
__global__ void __launch_bounds__(tile_threads)
    attention_dq_kernel(const __grid_constant__ GradArgs<T> args) {
  using C = Arithmetic<T>;
  Tiles<T, D> tiles;
  constexpr int R = tiles.R;
  const AttentionArgs& a = args.a;
  const Sight sight(a);
  const int count = blocks_of(sight.queries, tiles.rows);
  const unsigned head = blockIdx.x / count;
  const int first = (count - 1 - static_cast<int>(blockIdx.x % count)) * tiles.rows;
  const Rows<T> q(a, a.q, head, a.queries, a.width), k(a, a.k, head, a.keys, a.width),
      v(a, a.v, head, a.keys, a.value_width), g(a, args.g, head, a.queries, a.value_width);
  const int end = sight.end(min(first + tiles.rows, sight.queries) - 1);

  typename Tiles<T, D>::Results dq = {};
  RowSums<C> sums[R / 2];
#pragma unroll
  for (int i = 0; i < R / 2; ++i)
    sums[i] = *row_sums_at(args.row_sums, head, sight.queries, first + R * tiles.y + 2 * i);
  for (int key = 0; key < end; key += tile_others) {
    typename Tiles<T, D>::Scores s = {}, dp = {};
    tiles.multiply_transposed(s, q, first, k, key);
    tiles.multiply_transposed(dp, g, first, v, key);
#pragma unroll
    for (int i = 0; i < R; ++i) {
      const int seen = sight.end(first + R * tiles.y + i) - key - 4 * tiles.x;
#pragma unroll
      for (int j = 0; j < 4; ++j)
        s[i][j] = j < seen ? exp(s[i][j] * args.scale - sums[i / 2].log_sum[i % 2]) *
                                 (dp[i][j] - sums[i / 2].mean[i % 2])
                           : C(0);
    }
    tiles.multiply(dq, s, k, key);
  }
  C factor[R];
#pragma unroll
  for (int i = 0; i < R; ++i) factor[i] = args.scale;
  tiles.store(Rows<T>(a, args.dq, head, a.queries, a.width), first, dq, factor);
}

template <typename T, int D>
__global__ void __launch_bounds__(tile_threads)
    attention_dkv_kernel(const __grid_constant__ GradArgs<T> args) {
  using C = Arithmetic<T>;
  Tiles<T, D> tiles;
  constexpr int R = tiles.R;
  const AttentionArgs& a = args.a;
  const Sight sight(a);
  const int count = blocks_of(sight.keys, tiles.rows);
  const unsigned head = blockIdx.x / count;
  const int first = static_cast<int>(blockIdx.x % count) * tiles.rows;  // those that most queries see begin
  const Rows<T> q(a, a.q, head, a.queries, a.width), k(a, a.k, head, a.keys, a.width),
      v(a, a.v, head, a.keys, a.value_width), g(a, args.g, head, a.queries, a.value_width);

  typename Tiles<T, D>::Results dk = {}, dv = {};
  for (int query = sight.first_query(first) / tile_others * tile_others; query < sight.queries;
       query += tile_others) {
    typename Tiles<T, D>::Scores p = {}, ds = {};  // [key][query]
    tiles.multiply_transposed(p, k, first, q, query);
    tiles.multiply_transposed(ds, v, first, g, query);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int own = query + 4 * tiles.x + j, seen = sight.end(own);
      const auto& sums = *row_sums_at(args.row_sums, head, sight.queries, own);
#pragma unroll
      for (int i = 0; i < R; ++i) {
        const bool sees = first + R * tiles.y + i < seen;
        p[i][j] = sees ? exp(p[i][j] * args.scale - sums.log_sum[j % 2]) : C(0);
        ds[i][j] = sees ? p[i][j] * (ds[i][j] - sums.mean[j % 2]) : C(0);
      }
    }
    tiles.multiply(dv, p, g, query);
    tiles.multiply(dk, ds, q, query);
  }
  C factor[R];
#pragma unroll
  for (int i = 0; i < R; ++i) factor[i] = 1;
  tiles.store(Rows<T>(a, args.dv, head, a.keys, a.value_width), first, dv, factor);
#pragma unroll
  for (int i = 0; i < R; ++i) factor[i] = args.scale;
  tiles.store(Rows<T>(a, args.dk, head, a.keys, a.width), first, dk, factor);
}

template <typename T>
void sum_rows(const AttentionArgs& args, const HeadMatrices& out, const HeadMatrices& g, const void* log_sums,
              double log_factor, RowSums<Arithmetic<T>>* to) {
  using C = Arithmetic<T>;
  constexpr int n = in_16_bytes<T>;
  const auto blocks =
      static_cast<unsigned>(args.heads * (summed_rows(static_cast<int>(args.queries)) / sums_rows));
  bool packs = args.value_width % n == 0;
  for (const HeadMatrices* x : {&out, &g}) {
    packs = packs && x->ld % n == 0 && fits_packs<n>(0, static_cast<const T*>(x->data));
    for (int d = 0; d < args.batch.rank; ++d) packs = packs && x->strides[d] % n == 0;
  }
  run(AttentionGrad::name, packs ? row_sums_kernel<T, n> : row_sums_kernel<T, 1>, {blocks, sums_threads},
      args, out, g, static_cast<const C*>(log_sums), static_cast<C>(log_factor), to);
}

}  // namespace

void AttentionGrad::cuda(const AttentionArgs& args, const HeadMatrices& out, const void* log_sums,
                         const HeadMatrices& g, const HeadMatrices& dq, const HeadMatrices& dk,
                         const HeadMatrices& dv) {
  const bool on_tensor_cores = fits_mma(args, {&g, &dq, &dk, &dv});
  choose_tiles(args, [&]<typename T, int D>() {
    using C = Arithmetic<T>;
    const auto count = static_cast<std::size_t>(args.heads * summed_rows(static_cast<int>(args.queries)));
    const DeviceWorkspace memory(count / 2 * sizeof(RowSums<C>));
    auto* const row_sums = memory.as<RowSums<C>>();
    sum_rows<T>(args, out, g, log_sums, on_tensor_cores ? std::numbers::log2e : 1, row_sums);
    if constexpr (sizeof(T) == 2) {
      if (on_tensor_cores) {
        if (!attention_wgmma_grad(args, row_sums, g, dq, dk, dv))
          attention_mma_grad(args, row_sums, g, dq, dk, dv);
        return;
      }
    }
    const GradArgs<T> all{args, g, dq, dk, dv, row_sums, static_cast<C>(args.scale)};
    const auto blocks = [&](std::int64_t rows) {
      return static_cast<unsigned>(args.heads * blocks_of(static_cast<int>(rows), Tiles<T, D>::rows));
    };
    run(name, attention_dq_kernel<T, D>, {blocks(args.queries), tile_threads}, all);
    run(name, attention_dkv_kernel<T, D>, {blocks(args.keys), tile_threads}, all);
  });
}

}  // namespace tutti::kernels
