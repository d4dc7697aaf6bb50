// Attention in any dtype and width, without tensor cores: rows of queries are a block's, scores of 64 keys at a time are
// folded into running sums. T. Dao et al., "FlashAttention", NeurIPS 2022.
#include <limits>

#include "kernels/cuda/attention_tiles.cuh"

namespace tutti::kernels {
namespace {

template <typename T, int D>
__global__ void __launch_bounds__(tile_threads, D == 256 ? 1 : 2)
    attention_kernel(const __grid_constant__ AttentionArgs a, const __grid_constant__ HeadMatrices out,
                     Arithmetic<T> scale, Arithmetic<T>* log_sums) {
  using C = Arithmetic<T>;
  constexpr C infinity = std::numeric_limits<C>::infinity();
  Tiles<T, D> tiles;
  constexpr int R = tiles.R;
  const Sight sight(a);
  const int count = blocks_of(sight.queries, tiles.rows);
  const unsigned head = blockIdx.x / count;
  const int first =
      (count - 1 - static_cast<int>(blockIdx.x % count)) * tiles.rows;  // those that see the most begin
  const Rows<T> q(a, a.q, head, a.queries, a.width), k(a, a.k, head, a.keys, a.width),
      v(a, a.v, head, a.keys, a.value_width);
  const int end = sight.end(min(first + tiles.rows, sight.queries) - 1);

  typename Tiles<T, D>::Results o = {};
  C largest[R], sum[R] = {};
#pragma unroll
  for (int i = 0; i < R; ++i) largest[i] = -infinity;
  for (int key = 0; key < end; key += tile_others) {
    typename Tiles<T, D>::Scores s = {};
    tiles.multiply_transposed(s, q, first, k, key);
#pragma unroll
    for (int i = 0; i < R; ++i) {
      const int seen = sight.end(first + R * tiles.y + i) - key - 4 * tiles.x;
      C now = largest[i];
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        s[i][j] = j < seen ? s[i][j] * scale : -infinity;
        now = max(now, s[i][j]);
      }
      now = reduce_lanes<16>(now, [](C x, C y) { return max(x, y); });
      const C shift = now == -infinity ? C(0) : now;  // has seen nothing yet
      const C factor = exp(largest[i] - shift);
      largest[i] = now;
      C total = 0;
#pragma unroll
      for (int j = 0; j < 4; ++j) total += s[i][j] = exp(s[i][j] - shift);
      sum[i] = sum[i] * factor + total;
#pragma unroll
      for (int j = 0; j < D / 16; ++j) o[i][j] *= factor;
    }
    tiles.multiply(o, s, v, key);
  }
  C factor[R];
#pragma unroll
  for (int i = 0; i < R; ++i) {
    const int query = first + R * tiles.y + i;
    const C total = reduce_lanes<16>(sum[i], Sum{});
    factor[i] = total == C(0) ? C(0) : C(1) / total;
    if (tiles.x == 0 && query < sight.queries)
      log_sums[std::int64_t{head} * sight.queries + query] = total == C(0) ? C(0) : largest[i] + log(total);
  }
  tiles.store(Rows<T>(a, out, head, a.queries, a.value_width), first, o, factor);
}

}  // namespace

void Attention::cuda(const AttentionArgs& args, const HeadMatrices& out, void* log_sums) {
  if (fits_mma(args, {&out})) {
    auto* const sums = static_cast<float*>(log_sums);
    if (!attention_wgmma(args, out, sums)) attention_mma(args, out, sums);
    return;
  }
  choose_tiles(args, [&]<typename T, int D>() {
    using C = Arithmetic<T>;
    const auto blocks = args.heads * blocks_of(static_cast<int>(args.queries), Tiles<T, D>::rows);
    run(name, attention_kernel<T, D>, {static_cast<unsigned>(blocks), tile_threads}, args, out,
        static_cast<C>(args.scale), static_cast<C*>(log_sums));
  });
}

}  // namespace tutti::kernels
