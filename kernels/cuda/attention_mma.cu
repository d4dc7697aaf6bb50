// Attention on tensor cores. T. Dao, "FlashAttention-2", 2023: a block has 128 queries, four warps 32 each, and goes through the
// keys by 64. Scores, sums and results stay in registers; scores become the operand of the next product where they are. 32
// queries a warp, for each matrix of keys or values that a warp loads serves two products: with 16 shared memory would be as
// busy as the tensor cores. Values are copied while scores are made, the next keys while values are added up.
#include <cmath>
#include <limits>
#include <numbers>

#include "kernels/cuda/attention_mma.cuh"

namespace tutti::kernels {
namespace {

constexpr int m = 2, n = 64, warps = 4, threads = 32 * warps, block_rows = 16 * m * warps;

// Of the rows that a lane has a part of: [i][e] is row 16 i + g + 8 e of the warp's.
using OfRow = float[m][2];

// Changes the signs of all elements that this thread has copied.
template <typename T, int D>
__device__ void negate(const Tile<T, D> tile) {
  for (int i = static_cast<int>(threadIdx.x); i < block_rows * Tile<T, D>::pieces; i += threads) {
    T* const at = tile.at(i / Tile<T, D>::pieces, i % Tile<T, D>::pieces);
    auto values = load_pack<8>(at);
#pragma unroll
    for (T& x : values.at) x.bits ^= 0x8000u;
    store_pack(at, values);
  }
}

// p = exp(scale (score - largest)) of a block of keys; what was summed up before is brought to the new largest.
template <typename T, int D>
__device__ __forceinline__ void update_softmax(Operand16<m, n>& p, const Product<m, n>& s, float scale,
                                               OfRow& largest, OfRow& sum, Product<m, D>& o) {
#pragma unroll
  for (int i = 0; i < m; ++i) {
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      float now = largest[i][e];
#pragma unroll
      for (int j = 0; j < n / 8; ++j) now = fmaxf(now, fmaxf(s[i][j][2 * e], s[i][j][2 * e + 1]));
      now = reduce_lanes<4>(now, [](float a, float b) { return fmaxf(a, b); });
      const float shift =
          now == -std::numeric_limits<float>::infinity() ? 0 : now * scale;  // has seen nothing yet
      const float factor = fast_exp2(largest[i][e] * scale - shift);
      largest[i][e] = now;
      float total = 0;
#pragma unroll
      for (int j = 0; j < n / 8; ++j) {
        const float low = fast_exp2(s[i][j][2 * e] * scale - shift);
        const float high = fast_exp2(s[i][j][2 * e + 1] * scale - shift);
        total += low + high;
        p[i][j / 2][j % 2 * 2 + e] = packed<T>(low, high);
      }
      sum[i][e] = sum[i][e] * factor + total;
#pragma unroll
      for (int j = 0; j < D / 8; ++j) {
        o[i][j][2 * e] *= factor;
        o[i][j][2 * e + 1] *= factor;
      }
    }
  }
}

// `scale` is that of powers of 2, and positive: with `negative` that of the scores is not, and q changes its sign.
template <typename T, int D>
__global__ void __launch_bounds__(threads, 2)
    attention_mma_kernel(const __grid_constant__ AttentionArgs a, const __grid_constant__ HeadMatrices out,
                         float scale, bool negative, float* log_sums) {
  const Tile<T, D> q{dynamic_shared<T>()}, k = q.behind(block_rows), v = k.behind(n);
  const Sight sight(a);
  const int tiles = blocks_of(sight.queries, block_rows), tile = static_cast<int>(blockIdx.x % tiles);
  const unsigned head = blockIdx.x / tiles;
  const int first = (tiles - 1 - tile) * block_rows;  // those that see the most begin
  const Rows<T> keys(a, a.k, head, a.keys, a.width), values(a, a.v, head, a.keys, a.value_width);
  const int blocks = blocks_of(sight.end(min(first + block_rows, sight.queries) - 1), n);

  Product<m, D> o = {};
  OfRow largest, sum = {};
#pragma unroll
  for (int i = 0; i < 2 * m; ++i) largest[i / 2][i % 2] = -std::numeric_limits<float>::infinity();

  if (blocks > 0) {
    copy_tile<block_rows, threads>(q, Rows<T>(a, a.q, head, a.queries, a.width), first);
    copy_tile<n, threads>(k, keys, 0);
  }
  cp_async_commit();
  for (int j = 0; j < blocks; ++j) {
    // The warp's first query, and what that sees and the last one does.
    const int thread = fresh(static_cast<int>(threadIdx.x)), own = first + thread / 32 * 16 * m;
    const int least = sight.end(own) - j * n;
    const int most = own < sight.queries ? sight.end(min(own + 16 * m, sight.queries) - 1) - j * n : least;
    cp_async_wait<0>();
    if (negative && j == 0) negate(q);
    __syncthreads();  // keys and queries are there, the values before have been used
    copy_tile<n, threads>(v, values, j * n);
    cp_async_commit();
    Product<m, n> s = {};
    if (most > 0) multiply_transposed<m, n>(s, q, own - first, k);
    cp_async_wait<0>();
    __syncthreads();  // values are there, the keys have been used
    if (j + 1 < blocks) {
      copy_tile<n, threads>(k, keys, (j + 1) * n);
      cp_async_commit();
    }
    if (most <= 0) continue;
    if (least < n) {
#pragma unroll
      for (int i = 0; i < 2 * m; ++i) {
        const int end = sight.end(own + i / 2 * 16 + thread % 32 / 4 + i % 2 * 8) - j * n - thread % 4 * 2;
#pragma unroll
        for (int c = 0; c < n / 8; ++c) {
          if (8 * c >= end) s[i / 2][c][i % 2 * 2] = -std::numeric_limits<float>::infinity();
          if (8 * c + 1 >= end) s[i / 2][c][i % 2 * 2 + 1] = -std::numeric_limits<float>::infinity();
        }
      }
    }
    Operand16<m, n> p;
    update_softmax<T, D>(p, s, scale, largest, sum, o);
    multiply<m, n>(o, p, v);
  }

  const int lane = static_cast<int>(lane_of_warp()), row = static_cast<int>(threadIdx.x) / 32 * 16 * m;
  const unsigned same_head = static_cast<unsigned>(fresh(static_cast<int>(blockIdx.x))) / tiles;
  OfRow factor;
#pragma unroll
  for (int i = 0; i < 2 * m; ++i) {
    const int query = first + row + i / 2 * 16 + lane / 4 + i % 2 * 8;
    const float total = reduce_lanes<4>(sum[i / 2][i % 2], Sum{});
    factor[i / 2][i % 2] = total == 0 ? 0 : 1 / total;
    const float log_sum = largest[i / 2][i % 2] * scale * std::numbers::ln2_v<float> + logf(total);
    if (lane % 4 == 0 && query < sight.queries)
      log_sums[std::int64_t{same_head} * sight.queries + query] = total == 0 ? 0 : log_sum;
  }
  store_rows<m>(Rows<T>(a, out, same_head, a.queries, a.value_width), first + row, o, factor, q, row);
}

template <typename T, int D>
void start(const AttentionArgs& args, const HeadMatrices& out, float* log_sums) {
  const auto kernel = attention_mma_kernel<T, D>;
  constexpr std::size_t shared = (block_rows + 2 * n) * Tile<T, D>::row_size * sizeof(T);
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared), Attention::name);
  const auto blocks = args.heads * blocks_of(static_cast<int>(args.queries), block_rows);
  run(Attention::name, kernel, {static_cast<unsigned>(blocks), threads, shared}, args, out,
      static_cast<float>(std::abs(args.scale) * std::numbers::log2e), args.scale < 0, log_sums);
}

}  // namespace

bool fits_mma(const AttentionArgs& args, std::initializer_list<const HeadMatrices*> others) {
  if (size_of(args.dtype) != 2 || std::max(args.width, args.value_width) > 128) return false;
  bool fits = args.width % 8 == 0 && args.value_width % 8 == 0;
  const auto take = [&](const HeadMatrices& x) {
    fits = fits && x.ld % 8 == 0 && x.ld <= std::numeric_limits<int>::max();
    fits = fits && std::bit_cast<std::uintptr_t>(x.data) % 16 == 0;
    for (int d = 0; d < args.batch.rank; ++d)
      fits = fits && (args.batch.sizes[d] == 1 || x.strides[d] % 8 == 0);
  };
  for (const HeadMatrices* x : {&args.q, &args.k, &args.v}) take(*x);
  for (const HeadMatrices* x : others) take(*x);
  return fits;
}

void attention_mma(const AttentionArgs& args, const HeadMatrices& out, float* log_sums) {
  const auto width = std::max(args.width, args.value_width);
  const auto choose = [&]<typename T>(T) {
    if (width <= 64) return start<T, 64>(args, out, log_sums);
    if (width <= 96) return start<T, 96>(args, out, log_sums);
    start<T, 128>(args, out, log_sums);
  };
  args.dtype == DType::bf16 ? choose(bfloat16{}) : choose(float16{});
}

}  // namespace tutti::kernels
