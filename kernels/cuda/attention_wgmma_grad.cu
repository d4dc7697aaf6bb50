// Gradients of attention on an H100, made as attention itself is there: two warps load, and two or three warpgroups keep
// 64 rows each and go through those of the other side, 64 at a time. As elsewhere the gradient of q has a kernel of its own, so
// that nothing is added up between blocks. Of queries i and keys j
//   p = exp(scale q k^T - log sum)    ds = p (g v^T - sum of g out)    dq = scale ds k
// and with keys as the rows p and ds come out transposed, operands where they are:
//   dv = p^T g    dk = scale ds^T q
#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/cuda/attention_wgmma.cuh"

namespace tutti::kernels {
namespace {

// What a block has the rows of, and makes the gradients of.
enum class Side { queries, keys };

constexpr int n = 64;  // rows of the other side at a time

template <int D>
struct Form {
  static constexpr int groups = D == 64 ? 3 : 2;  // as many as the registers allow
  static constexpr int rows = groups * group_rows, threads = (groups + 1) * group_threads;
  static constexpr int stages = D == 64 ? 4 : 3, own_stages = D == 64 ? 2 : 1;
};

// As load_box leaves them.
template <typename T, int D>
using Matrix = T[D / box_columns][64][box_columns];

template <typename T, int D>
struct alignas(1024) Memory {
  using F = Form<D>;
  Matrix<T, D> own[F::own_stages][F::groups][2], others[F::stages][2];
  T out[F::rows * D];
  RowSums<float> sums[F::stages][n / 2];
  Barrier own_full[F::own_stages][F::groups], own_empty[F::own_stages][F::groups];
  Barrier full[F::stages], empty[F::stages];
};

// The map of a matrix of each head, and its strides in units of that.
struct Source {
  TensorMap map;
  HeadMatrices units;
};

struct Args {
  AttentionArgs a;
  Source own[2], others[2];  // q and g, and k and v, or the other way round
  HeadMatrices out[2];       // dq, or dk and dv
  const RowSums<float>* row_sums;
  float scale, scale_of_2;  // of the scores, and so that they are powers of 2
};

// How many blocks of the other side have pairs with some of `rows` rows; they are its first ones for queries, its last ones for
// keys.
template <Side side>
__device__ __forceinline__ int steps_of(const Sight& sight, int first, int rows) {
  if constexpr (side == Side::queries) {
    return first < 0 || first >= sight.queries
               ? 0
               : blocks_of(sight.end(min(first + rows, sight.queries) - 1), n);
  } else {
    return first >= sight.keys ? 0 : max(blocks_of(sight.queries, n) - sight.first_query(first) / n, 0);
  }
}
// Of a whole tile, which may begin before the first row.
template <Side side, int rows>
__device__ __forceinline__ int steps_of_tile(const Sight& sight, int first) {
  return steps_of<side>(sight, max(first, 0), rows + min(first, 0));
}
// The first row of the block of a step. Those that only some of the block's warpgroups have pairs with come first.
template <Side side>
__device__ __forceinline__ int first_of_step(const Sight& sight, int steps_left) {
  return (side == Side::queries ? steps_left - 1 : blocks_of(sight.queries, n) - steps_left) * n;
}

// f(head, first row) of this block's tiles. Those with the most pairs come first, and who begins a round last begins the next one
// first, so that all have about the same to do. Queries are cut up from their end on: the tile that has less than `rows` of
// them, and begins before the first, is the one with the least to do.
template <Side side, int rows, typename F>
__device__ __forceinline__ void for_each_tile(const AttentionArgs& a, const Sight& sight, F f) {
  const int blocks = blocks_of(side == Side::queries ? sight.queries : sight.keys, group_rows);
  const auto heads = static_cast<unsigned>(a.heads);
  const unsigned all = heads * blocks_of(blocks, rows / group_rows);
#pragma unroll 1
  for (unsigned round = 0;; ++round) {
    const unsigned i = round * gridDim.x + (round % 2 == 0 ? blockIdx.x : gridDim.x - 1 - blockIdx.x);
    if (i >= all) return;
    const int tile = static_cast<int>(i / heads);
    f(i % heads, side == Side::queries ? blocks * group_rows - (tile + 1) * rows : tile * rows);
  }
}

// Begins copying 64 rows from this one on of a head's matrix.
template <typename T, int D>
__device__ __forceinline__ void load_rows(Matrix<T, D>& to, const Source& from, int row, int place,
                                          Barrier& barrier) {
#pragma unroll
  for (int p = 0; p < D / box_columns; ++p) load_box(to[p], from.map, p * box_columns, row, place, barrier);
}

template <Side side, typename T, int D>
__device__ __forceinline__ void load_own(const Args& x, Memory<T, D>& memory, const Sight& sight) {
  using F = Form<D>;
  RingPlace<F::own_stages> at;
  for_each_tile<side, F::rows>(x.a, sight, [&](unsigned head, int first) {
    const auto place_0 = static_cast<int>(offset_of_head(x.a.batch, x.own[0].units, head));
    const auto place_1 = static_cast<int>(offset_of_head(x.a.batch, x.own[1].units, head));
#pragma unroll 1
    for (int group = 0; group < F::groups; ++group) {
      const int row = first + group * group_rows;
      auto& to = memory.own[at.stage][group];
      Barrier& full = memory.own_full[at.stage][group];
      wait(memory.own_empty[at.stage][group], at.parity ^ 1);
      if (steps_of<side>(sight, row, group_rows) == 0) {
        arrive(full);
        continue;
      }
      arrive_expecting(full, sizeof to);
      load_rows<T, D>(to[0], x.own[0], row, place_0, full);
      load_rows<T, D>(to[1], x.own[1], row, place_1, full);
    }
    at = at.next();
  });
}

template <Side side, typename T, int D>
__device__ __forceinline__ void load_others(const Args& x, Memory<T, D>& memory, const Sight& sight) {
  using F = Form<D>;
  RingPlace<F::stages> at;
  for_each_tile<side, F::rows>(x.a, sight, [&](unsigned head, int first) {
    const auto place_0 = static_cast<int>(offset_of_head(x.a.batch, x.others[0].units, head));
    const auto place_1 = static_cast<int>(offset_of_head(x.a.batch, x.others[1].units, head));
#pragma unroll 1
    for (int left = steps_of_tile<side, F::rows>(sight, first); left > 0; --left) {
      const int row = first_of_step<side>(sight, left);
      auto& to = memory.others[at.stage];
      auto& sums = memory.sums[at.stage];
      Barrier& full = memory.full[at.stage];
      wait(memory.empty[at.stage], at.parity ^ 1);
      arrive_expecting(full, sizeof to + (side == Side::keys ? sizeof sums : 0));
      load_rows<T, D>(to[0], x.others[0], row, place_0, full);
      load_rows<T, D>(to[1], x.others[1], row, place_1, full);
      if constexpr (side == Side::keys)
        load_bytes(sums, row_sums_at(x.row_sums, head, sight.queries, row), sizeof sums, full);
      at = at.next();
    }
  });
}

// Begins c = a b^T, a group.
template <typename T, int D>
__device__ __forceinline__ void begin_transposed(Product<1, n>& c, const Matrix<T, D>& a,
                                                 const Matrix<T, D>& b) {
  const std::uint64_t of_a = matrix_at(a), of_b = matrix_at(b);
  constexpr int panel = sizeof(a[0]) / 16;
  wgmma_fence();
  wgmma_transposed<T, false>(c[0], of_a, of_b);
#pragma unroll
  for (int i = 1; i < D / 16; ++i) {
    const int step = i / 4 * panel + i % 4 * 2;
    wgmma_transposed<T, true>(c[0], of_a + step, of_b + step);
  }
  wgmma_commit();
}

// Begins c += a b.
template <typename T, int D>
__device__ __forceinline__ void begin_sum(Product<1, D>& c, const Operand16<1, n>& a, const Matrix<T, D>& b) {
  const std::uint64_t of_b = matrix_at(b, sizeof(b[0]));
#pragma unroll
  for (int i = 0; i < n / 16; ++i) wgmma<T>(c[0], a[0][i], of_b + i * (16 * 128 / 16));
}

// 0 for those of a lane's pairs that don't see each other. `bound[e]`, of row g + 8 e, is where the keys that a query sees end,
// or the queries that see a key begin, from the lane's first column on.
template <Side side>
__device__ __forceinline__ void hide(Product<1, n>& p, const int (&bound)[2]) {
#pragma unroll
  for (int i = 0; i < n / 2; ++i) {
    const bool is_behind = i / 4 * 8 + i % 2 >= bound[i / 2 % 2];
    if (is_behind == (side == Side::queries)) p[0][i / 4][i % 4] = 0;
  }
}

// s becomes p. Log sums of queries are those of a lane's rows, or, of keys, of its columns: two of every eight, for which it has its
// first place in `of_columns`.
template <Side side>
__device__ __forceinline__ void weigh(Product<1, n>& s, float scale, const float (&of_rows)[2],
                                      const RowSums<float>* of_columns) {
#pragma unroll
  for (int c = 0; c < n / 8; ++c) {
    Pack<float, 2> log_sum{of_rows[0], of_rows[1]};
    if constexpr (side == Side::keys) log_sum = load_pack<2>(of_columns[c * 4].log_sum);
#pragma unroll
    for (int i = 0; i < 4; ++i)
      s[0][c][i] = fast_exp2(s[0][c][i] * scale - log_sum.at[side == Side::queries ? i / 2 : i % 2]);
  }
}
// dp becomes ds, with means in the place of log sums.
template <Side side>
__device__ __forceinline__ void differentiate(Product<1, n>& dp, const Product<1, n>& p,
                                              const float (&of_rows)[2], const RowSums<float>* of_columns) {
#pragma unroll
  for (int c = 0; c < n / 8; ++c) {
    Pack<float, 2> mean{of_rows[0], of_rows[1]};
    if constexpr (side == Side::keys) mean = load_pack<2>(of_columns[c * 4].mean);
#pragma unroll
    for (int i = 0; i < 4; ++i)
      dp[0][c][i] = p[0][c][i] * (dp[0][c][i] - mean.at[side == Side::queries ? i / 2 : i % 2]);
  }
}

template <Side side, typename T, int D>
__device__ __forceinline__ void make_tiles(const Args& x, Memory<T, D>& memory, const Sight& sight) {
  using F = Form<D>;
  const int warp =
      __shfl_sync(all_lanes, static_cast<int>(threadIdx.x) / 32, 0) - 4;  // the same in all lanes
  const int group = warp / 4, lane = static_cast<int>(lane_of_warp());
  const auto release = [&](Barrier& empty) {
    __syncwarp();
    if (lane == 0) arrive(empty);
  };

  RingPlace<F::stages> at;
  RingPlace<F::own_stages> own_at;
  for_each_tile<side, F::rows>(x.a, sight, [&](unsigned head, int first) {
    const int own = first + group * group_rows, row = first + warp * 16 + lane / 4;
    const int own_steps = steps_of<side>(sight, own, group_rows);
    const auto& matrices = memory.own[own_at.stage][group];
    Barrier& own_empty = memory.own_empty[own_at.stage][group];
    Product<1, D> sums[side == Side::queries ? 1 : 2] = {};  // dq, or dk and dv
    wait(memory.own_full[own_at.stage][group], own_at.parity);
    for (int left = steps_of_tile<side, F::rows>(sight, first); left > own_steps; --left) {
      wait(memory.full[at.stage], at.parity);  // others have pairs there
      release(memory.empty[at.stage]);
      at = at.next();
    }
    if (own_steps > 0) {
      // Queries before this one, or keys from this one on, are not all seen.
      const int bound = side == Side::queries ? sight.end(own) : sight.first_query(own + group_rows - 1);
      float log_sum[2] = {}, mean[2] = {};
      if constexpr (side == Side::queries) {
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          const auto& two = *row_sums_at(x.row_sums, head, sight.queries, row + 8 * e);
          log_sum[e] = two.log_sum[row % 2];
          mean[e] = two.mean[row % 2];
        }
      }
      Product<1, n> s, dp;
      Operand16<1, n> p, ds;
      wait(memory.full[at.stage], at.parity);
      begin_transposed<T, D>(s, matrices[0], memory.others[at.stage][0]);
      begin_transposed<T, D>(dp, matrices[1], memory.others[at.stage][1]);
      int left = own_steps;
      while (true) {
        wgmma_wait<1>();
        hold(s[0]);
        weigh<side>(s, x.scale_of_2, log_sum, memory.sums[at.stage] + lane % 4);
        const int block = first_of_step<side>(sight, left);
        if (side == Side::queries ? block + n > bound : block < bound) {
          const auto bound_of = [&](int of) {
            return (side == Side::queries ? sight.end(of) : sight.first_query(of)) - block - lane % 4 * 2;
          };
          hide<side>(s, {bound_of(row), bound_of(row + 8)});
        }
        if constexpr (side == Side::keys) rounded<T, 1, n>(p, s);
        wgmma_wait<0>();
        hold(dp[0]);
        differentiate<side>(dp, s, mean, memory.sums[at.stage] + lane % 4);
        rounded<T, 1, n>(ds, dp);
        hold(ds[0]);
        if constexpr (side == Side::keys) hold(p[0]);
        wgmma_fence();
        if constexpr (side == Side::keys) begin_sum<T, D>(sums[1], p, memory.others[at.stage][1]);
        begin_sum<T, D>(sums[0], ds, memory.others[at.stage][0]);
        wgmma_commit();
        if (--left == 0) break;
        const auto next = at.next();
        wait(memory.full[next.stage], next.parity);
        begin_transposed<T, D>(s, matrices[0], memory.others[next.stage][0]);
        wgmma_wait<1>();
        hold(ds[0]);
        if constexpr (side == Side::keys) hold(p[0]);
        release(memory.empty[at.stage]);
        begin_transposed<T, D>(dp, matrices[1], memory.others[next.stage][1]);
        at = next;
      }
      release(own_empty);
      wgmma_wait<0>();
      hold(ds[0]);
      hold(sums[0][0]);
      if constexpr (side == Side::keys) {
        hold(p[0]);
        hold(sums[1][0]);
      }
      release(memory.empty[at.stage]);
      at = at.next();
    }
    if (own_steps == 0) release(own_empty);
    own_at = own_at.next();

    if (own < 0) return;
#pragma unroll
    for (int i = 0; i < (side == Side::queries ? 1 : 2); ++i) {
      const float factor[1][2] = {{i == 0 ? x.scale : 1, i == 0 ? x.scale : 1}};
      const Rows<T> to(x.a, x.out[i], head, side == Side::queries ? x.a.queries : x.a.keys,
                       i == 0 ? x.a.width : x.a.value_width);
      store_rows<1>(to, first + warp * 16, sums[i], factor, Tile<T, D>{memory.out}, warp * 16);
    }
  });
}

// Where it may not use wgmma it does nothing, and can't be launched.
template <Side side, typename T, int D>
__global__ void __launch_bounds__(has_wgmma ? Form<D>::threads : 32, 1)
    attention_wgmma_grad_kernel(const __grid_constant__ Args x) {
  if constexpr (has_wgmma) {
    using F = Form<D>;
    auto* const bytes = dynamic_shared<unsigned char>();
    auto& memory = *reinterpret_cast<Memory<T, D>*>(bytes + (0u - shared_address(bytes)) % 1024);
    if (threadIdx.x == 0) {
      for (int i = 0; i < F::own_stages * F::groups; ++i) {
        init(memory.own_full[i / F::groups][i % F::groups], 1);
        init(memory.own_empty[i / F::groups][i % F::groups], 4);
      }
      for (int i = 0; i < F::stages; ++i) {
        init(memory.full[i], 1);
        init(memory.empty[i], F::groups * 4);
      }
      publish_barriers();
    }
    __syncthreads();
    const Sight sight(x.a);
    if (threadIdx.x < group_threads) {
      give_registers<D == 64 ? 32 : 24>();
      if (threadIdx.x == 0) load_others<side, T, D>(x, memory, sight);
      if (threadIdx.x == 32) load_own<side, T, D>(x, memory, sight);
    } else {
      take_registers<D == 64 ? 160 : 240>();
      make_tiles<side, T, D>(x, memory, sight);
    }
  }
}

template <Side side, typename T, int D>
void start(const Args& x, int processors) {
  using F = Form<D>;
  const auto kernel = attention_wgmma_grad_kernel<side, T, D>;
  constexpr std::size_t shared = sizeof(Memory<T, D>) + 1024;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared),
        AttentionGrad::name);
  const auto rows = static_cast<int>(side == Side::queries ? x.a.queries : x.a.keys);
  const auto blocks = std::min<std::int64_t>(x.a.heads * blocks_of(rows, F::rows), processors);
  run(AttentionGrad::name, kernel, {static_cast<unsigned>(blocks), F::threads, shared}, x);
}

template <typename T, int D>
bool start(const AttentionArgs& args, const RowSums<float>* row_sums, const HeadMatrices& g,
           const HeadMatrices& dq, const HeadMatrices& dk, const HeadMatrices& dv) {
  cudaFuncAttributes attributes;
  check(cudaFuncGetAttributes(&attributes, attention_wgmma_grad_kernel<Side::queries, T, D>),
        AttentionGrad::name);
  if (attributes.maxThreadsPerBlock < Form<D>::threads) return false;
  bool fits = true;
  const auto source = [&](HeadMatrices x, std::int64_t columns, std::int64_t rows) {
    const auto map = map_of(args, x, columns, rows, n);
    fits = fits && map;
    return Source{map.value_or(TensorMap{}), x};
  };
  const Source of_q = source(args.q, args.width, args.queries), of_k = source(args.k, args.width, args.keys),
               of_v = source(args.v, args.value_width, args.keys),
               of_g = source(g, args.value_width, args.queries);
  if (!fits) return false;
  int processors = 0;
  check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, current_gpu()),
        AttentionGrad::name);
  const auto scale = static_cast<float>(args.scale),
             scale_of_2 = static_cast<float>(args.scale * std::numbers::log2e);
  start<Side::queries, T, D>({args, {of_q, of_g}, {of_k, of_v}, {dq}, row_sums, scale, scale_of_2},
                             processors);
  start<Side::keys, T, D>({args, {of_k, of_v}, {of_q, of_g}, {dk, dv}, row_sums, scale, scale_of_2},
                          processors);
  return true;
}

}  // namespace

bool attention_wgmma_grad(const AttentionArgs& args, const RowSums<float>* row_sums, const HeadMatrices& g,
                          const HeadMatrices& dq, const HeadMatrices& dk, const HeadMatrices& dv) {
  int major = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, current_gpu()),
        AttentionGrad::name);
  if (major != 9) return false;
  const auto choose = [&]<typename T>(T) {
    const bool narrow = std::max(args.width, args.value_width) <= 64;
    return narrow ? start<T, 64>(args, row_sums, g, dq, dk, dv)
                  : start<T, 128>(args, row_sums, g, dq, dk, dv);
  };
  return args.dtype == DType::bf16 ? choose(bfloat16{}) : choose(float16{});
}

}  // namespace tutti::kernels
