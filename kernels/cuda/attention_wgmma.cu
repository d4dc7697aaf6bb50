// Attention on an H100. J. Shah et al., "FlashAttention-3", 2024: one warp loads, two or three warpgroups of 64 queries each
// make the products. While a warpgroup's exponentials are made, its product with the values before is under way, and those of
// the other warpgroups, which take turns at beginning theirs. A block stays for many tiles of queries: loads run ahead, over
// the end of a tile as well.
#include <cmath>
#include <limits>
#include <numbers>

#include "kernels/cuda/attention_wgmma.cuh"

namespace tutti::kernels {
namespace {

constexpr int n = 128;  // keys at a time

template <int D>
struct Form {
  static constexpr int groups = D == 64 ? 3 : 2;  // as many as the registers allow
  static constexpr int rows = groups * group_rows, threads = (groups + 1) * group_threads;
  static constexpr int panels = D / box_columns, stages = 2;
};

template <typename T, int D>
struct alignas(1024) Memory {
  using F = Form<D>;
  T q[F::panels][F::rows][box_columns];
  T k[F::stages][F::panels][n][box_columns], v[F::stages][F::panels][n][box_columns];
  T out[F::rows * D];
  Barrier q_full, q_empty, k_full[F::stages], k_empty[F::stages], v_full[F::stages], v_empty[F::stages];
};

struct Args {
  AttentionArgs a;  // strides in units of the maps
  HeadMatrices out;
  TensorMap q, k, v;
  float scale;  // of powers of 2
  float* log_sums;
};

// f(head, first query) of this block's tiles. Where those at the end of a head see the most, each comes with one from its
// beginning: all pairs see the same, but for the one with a tile cut short or alone, which comes to another block each round.
template <int rows, typename F>
__device__ __forceinline__ void for_each_tile(const AttentionArgs& a, const Sight& sight, F f) {
  const int tiles = blocks_of(sight.queries, rows), together = sight.causal ? 2 : 1;
  const unsigned shares = blocks_of(tiles, together), all = static_cast<unsigned>(a.heads) * shares;
  for (unsigned share = blockIdx.x; share < all; share += gridDim.x) {
    const unsigned head = share / shares;
    const int begin = static_cast<int>((share - head * shares + head) % shares) * together;
#pragma unroll 1
    for (int i = begin; i < min(begin + together, tiles); ++i)
      f(head, (i % 2 == 0 ? tiles - 1 - i / 2 : i / 2) * rows);
  }
}

// How many blocks of keys some of `rows` queries see.
[[maybe_unused]] __device__ __forceinline__ int blocks_seen(const Sight& sight, int first, int rows) {
  return first < sight.queries ? blocks_of(sight.end(min(first + rows, sight.queries) - 1), n) : 0;
}

template <typename T, int D>
__device__ __forceinline__ void load_tiles(const Args& x, Memory<T, D>& memory, const Sight& sight) {
  using F = Form<D>;
  constexpr unsigned row_bytes = D * sizeof(T);
  prefetch(x.q);
  prefetch(x.k);
  prefetch(x.v);
  RingPlace<F::stages> at;
  unsigned parity = 0;
  for_each_tile<F::rows>(x.a, sight, [&](unsigned head, int first) {
    const int blocks = blocks_seen(sight, first, F::rows);
    if (blocks == 0) return;
    const auto place = [&](const HeadMatrices& of) {
      return static_cast<int>(offset_of_head(x.a.batch, of, head));
    };
    const int of_q = place(x.a.q), of_k = place(x.a.k), of_v = place(x.a.v);
    wait(memory.q_empty, parity ^ 1);
    arrive_expecting(memory.q_full, F::rows * row_bytes);
#pragma unroll
    for (int p = 0; p < F::panels; ++p)
      load_box(memory.q[p], x.q, p * box_columns, first, of_q, memory.q_full);
    parity ^= 1;
#pragma unroll 1
    for (int j = blocks - 1; j >= 0; --j) {
      const int stage = at.stage;
      wait(memory.k_empty[stage], at.parity ^ 1);
      arrive_expecting(memory.k_full[stage], n * row_bytes);
#pragma unroll
      for (int p = 0; p < F::panels; ++p)
        load_box(memory.k[stage][p], x.k, p * box_columns, j * n, of_k, memory.k_full[stage]);
      wait(memory.v_empty[stage], at.parity ^ 1);
      arrive_expecting(memory.v_full[stage], n * row_bytes);
#pragma unroll
      for (int p = 0; p < F::panels; ++p)
        load_box(memory.v[stage][p], x.v, p * box_columns, j * n, of_v, memory.v_full[stage]);
      at = at.next();
    }
  });
}

// Begins s = q k^T.
template <typename T, int D>
__device__ __forceinline__ void begin_scores(Product<1, n>& s, const T* q, const T* k) {
  const std::uint64_t of_q = matrix_at(q), of_k = matrix_at(k);
  constexpr int q_panel = Form<D>::rows * 128 / 16, k_panel = n * 128 / 16;  // of 16 bytes
  wgmma_fence();
#pragma unroll
  for (int i = 0; i < D / 16; ++i) {
    const std::uint64_t a = of_q + i / 4 * q_panel + i % 4 * 2, b = of_k + i / 4 * k_panel + i % 4 * 2;
    if (i == 0) {
      wgmma_transposed<T, false>(s[0], a, b);
    } else {
      wgmma_transposed<T, true>(s[0], a, b);
    }
  }
  wgmma_commit();
}

// Begins o += p v.
template <typename T, int D>
__device__ __forceinline__ void begin_results(Product<1, D>& o, const Operand16<1, n>& p, const T* v) {
  const std::uint64_t of_v = matrix_at(v, n * 128);
  wgmma_fence();
#pragma unroll
  for (int i = 0; i < n / 16; ++i) wgmma<T>(o[0], p[0][i], of_v + i * (16 * 128 / 16));
  wgmma_commit();
}

// Scores that a lane's rows don't see: `end[e]` is where what row g + 8 e sees ends, from the lane's first column on.
[[maybe_unused]] __device__ __forceinline__ void hide(Product<1, n>& s, const int (&end)[2]) {
#pragma unroll
  for (int i = 0; i < n / 2; ++i) {
    float& score = s[0][i / 4][i % 4];
    if (i / 4 * 8 + i % 2 >= end[i / 2 % 2]) score = -std::numeric_limits<float>::infinity();
  }
}

// s becomes exp(scale (s - largest)); what was summed up before is to be brought to the new largest by `factor`.
[[maybe_unused]] __device__ __forceinline__ void update_softmax(Product<1, n>& s, float scale,
                                                                float (&largest)[2], float (&sum)[2],
                                                                float (&factor)[2]) {
#pragma unroll
  for (int e = 0; e < 2; ++e) {
    float now = largest[e];
#pragma unroll
    for (int j = 0; j < n / 8; ++j) now = fmaxf(now, fmaxf(s[0][j][2 * e], s[0][j][2 * e + 1]));
    now = reduce_lanes<4>(now, [](float a, float b) { return fmaxf(a, b); });
    const float shift =
        now == -std::numeric_limits<float>::infinity() ? 0 : now * scale;  // has seen nothing yet
    factor[e] = fast_exp2(largest[e] * scale - shift);
    largest[e] = now;
    float total = 0;
#pragma unroll
    for (int j = 0; j < n / 8; ++j) {
      float &low = s[0][j][2 * e], &high = s[0][j][2 * e + 1];
      low = fast_exp2(low * scale - shift);
      high = fast_exp2(high * scale - shift);
      total += low + high;
    }
    sum[e] = sum[e] * factor[e] + total;
  }
}

template <typename T, int D>
__device__ __forceinline__ void make_tiles(const Args& x, Memory<T, D>& memory, const Sight& sight) {
  using F = Form<D>;
  const int warp =
      __shfl_sync(all_lanes, static_cast<int>(threadIdx.x) / 32, 0) - 4;  // the same in all lanes
  const int group = warp / 4, lane = static_cast<int>(lane_of_warp());
  const auto take_turn = [&] { sync_threads(1 + group, 2 * group_threads); };
  const auto pass_turn = [&] { arrive_threads(group + 1 == F::groups ? 1 : 2 + group, 2 * group_threads); };
  const auto release = [&](Barrier& empty) {
    __syncwarp();
    if (lane == 0) arrive(empty);
  };
  if (group == F::groups - 1) pass_turn();

  RingPlace<F::stages> at;
  unsigned parity = 0;
  for_each_tile<F::rows>(x.a, sight, [&](unsigned head, int first) {
    const int own = first + group * group_rows;
    const int blocks = blocks_seen(sight, first, F::rows), own_blocks = blocks_seen(sight, own, group_rows);
    const int least = sight.end(min(own, sight.queries - 1));
    const int row = first + warp * 16 + lane / 4;  // of the first row that the lane has a part of
    Product<1, D> o = {};
    float largest[2] = {-std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()};
    float sum[2] = {}, factor[2];
    if (blocks > 0) {
      wait(memory.q_full, parity);
      parity ^= 1;
      for (int j = blocks; j > own_blocks; --j) {  // others see them
        take_turn();
        pass_turn();
        wait(memory.k_full[at.stage], at.parity);
        release(memory.k_empty[at.stage]);
        wait(memory.v_full[at.stage], at.parity);
        release(memory.v_empty[at.stage]);
        at = at.next();
      }
      if (own_blocks == 0) release(memory.q_empty);
    }
    if (own_blocks > 0) {
      const T* const q = memory.q[0][group * group_rows];
      Product<1, n> s;
      Operand16<1, n> p;
      const auto weigh = [&](int j) {
        if ((j + 1) * n > least) {
          const int end = j * n + lane % 4 * 2;
          hide(s, {sight.end(row) - end, sight.end(row + 8) - end});
        }
        update_softmax(s, x.scale, largest, sum, factor);
      };
      int j = own_blocks - 1;
      wait(memory.k_full[at.stage], at.parity);
      take_turn();
      begin_scores<T, D>(s, q, memory.k[at.stage][0][0]);
      pass_turn();
      wgmma_wait<0>();
      hold(s[0]);
      release(memory.k_empty[at.stage]);
      if (j == 0) release(memory.q_empty);
      weigh(j);
      rounded<T, 1, n>(p, s);
#pragma unroll 1
      while (j-- > 0) {
        const auto next = at.next();
        wait(memory.k_full[next.stage], next.parity);
        take_turn();
        begin_scores<T, D>(s, q, memory.k[next.stage][0][0]);
        wait(memory.v_full[at.stage], at.parity);
        begin_results<T, D>(o, p, memory.v[at.stage][0][0]);
        pass_turn();
        wgmma_wait<1>();
        hold(s[0]);
        release(memory.k_empty[next.stage]);
        if (j == 0) release(memory.q_empty);
        weigh(j);
        wgmma_wait<0>();
        hold(o[0]);
        hold(p[0]);
        release(memory.v_empty[at.stage]);
#pragma unroll
        for (int i = 0; i < D / 2; ++i) o[0][i / 4][i % 4] *= factor[i / 2 % 2];
        rounded<T, 1, n>(p, s);
        at = next;
      }
      wait(memory.v_full[at.stage], at.parity);
      begin_results<T, D>(o, p, memory.v[at.stage][0][0]);
      wgmma_wait<0>();
      hold(o[0]);
      hold(p[0]);
      release(memory.v_empty[at.stage]);
      at = at.next();
    }

    float inverse[1][2];
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const float total = reduce_lanes<4>(sum[e], Sum{});
      inverse[0][e] = total == 0 ? 0 : 1 / total;
      const float log_sum = largest[e] * x.scale * std::numbers::ln2_v<float> + logf(total);
      if (lane % 4 == 0 && row + 8 * e < sight.queries)
        x.log_sums[std::int64_t{head} * sight.queries + row + 8 * e] = total == 0 ? 0 : log_sum;
    }
    store_rows<1>(Rows<T>(x.a, x.out, head, x.a.queries, x.a.value_width), first + warp * 16, o, inverse,
                  Tile<T, D>{memory.out}, warp * 16);
  });
}

// Where it may not use wgmma it does nothing, and can't be launched.
template <typename T, int D>
__global__ void __launch_bounds__(has_wgmma ? Form<D>::threads : 32, 1)
    attention_wgmma_kernel(const __grid_constant__ Args x) {
  if constexpr (has_wgmma) {
    using F = Form<D>;
    auto* const bytes = dynamic_shared<unsigned char>();
    auto& memory = *reinterpret_cast<Memory<T, D>*>(bytes + (0u - shared_address(bytes)) % 1024);
    if (threadIdx.x == 0) {
      constexpr unsigned warps = F::groups * 4;
      init(memory.q_full, 1);
      init(memory.q_empty, warps);
      for (int i = 0; i < F::stages; ++i) {
        init(memory.k_full[i], 1);
        init(memory.v_full[i], 1);
        init(memory.k_empty[i], warps);
        init(memory.v_empty[i], warps);
      }
      publish_barriers();
    }
    __syncthreads();
    const Sight sight(x.a);
    if (threadIdx.x < group_threads) {
      give_registers<D == 64 ? 32 : 24>();
      if (threadIdx.x == 0) load_tiles<T, D>(x, memory, sight);
    } else {
      take_registers<D == 64 ? 160 : 240>();
      make_tiles<T, D>(x, memory, sight);
    }
  }
}

template <typename T, int D>
bool start(const AttentionArgs& args, const HeadMatrices& out, float* log_sums) {
  using F = Form<D>;
  const auto kernel = attention_wgmma_kernel<T, D>;
  cudaFuncAttributes attributes;
  check(cudaFuncGetAttributes(&attributes, kernel), Attention::name);
  if (attributes.maxThreadsPerBlock < F::threads) return false;
  Args x{args, out, {}, {}, {}, static_cast<float>(args.scale * std::numbers::log2e), log_sums};
  const auto q = map_of(args, x.a.q, args.width, args.queries, F::rows);
  const auto k = map_of(args, x.a.k, args.width, args.keys, n);
  const auto v = map_of(args, x.a.v, args.value_width, args.keys, n);
  if (!q || !k || !v) return false;
  x.q = *q;
  x.k = *k;
  x.v = *v;
  constexpr std::size_t shared = sizeof(Memory<T, D>) + 1024;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared), Attention::name);
  int processors = 0;
  check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, current_gpu()), Attention::name);
  const std::int64_t shares =
      args.heads * blocks_of(blocks_of(static_cast<int>(args.queries), F::rows), args.causal ? 2 : 1);
  const auto blocks = static_cast<unsigned>(std::min<std::int64_t>(shares, processors));
  run(Attention::name, kernel, {blocks, F::threads, shared}, x);
  return true;
}

}  // namespace

bool attention_wgmma(const AttentionArgs& args, const HeadMatrices& out, float* log_sums) {
  int major = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, current_gpu()), Attention::name);
  if (major != 9 || args.scale <= 0) return false;
  const auto choose = [&]<typename T>(T) {
    const bool narrow = std::max(args.width, args.value_width) <= 64;
    return narrow ? start<T, 64>(args, out, log_sums) : start<T, 128>(args, out, log_sums);
  };
  return args.dtype == DType::bf16 ? choose(bfloat16{}) : choose(float16{});
}

}  // namespace tutti::kernels
