// Norms of gradients to the bits of the CPU, and clipping that waits for nobody: the norm stays on the GPU.
#include <algorithm>
#include <bit>
#include <type_traits>
#include <utility>

#include "kernels/cuda/block.cuh"
#include "kernels/cuda/pack.cuh"
#include "kernels/cuda/tensor_list.cuh"
#include "kernels/cuda/workspace.h"
#include "kernels/optim.h"

namespace tutti::kernels {
namespace {

template <typename F>
void visit_float(DType dtype, F&& f) {
  visit_dtype(dtype, [&]<typename T>() {
    if constexpr (!std::is_integral_v<T>) f.template operator()<T>();
  });
}

constexpr unsigned square_threads = 64;

// The sixteen lanes of kernels/cpu/lanes.h are shared by this many threads, each of which has neighbouring ones.
template <typename T>
constexpr int sharers = 16 / in_16_bytes<T>;
template <typename T>
constexpr std::int64_t squares_part = SumSquares::chunk* square_threads / sharers<T>;

template <typename T>
__global__ void squares_kernel(const TensorList<2> list) {
  constexpr int n = in_16_bytes<T>;
  const Part mine = list.mine(squares_part<T>);
  const auto* const x = static_cast<const T*>(list.at[0][mine.tensor]);
  auto* const sums = static_cast<double*>(list.at[1][mine.tensor]);
  const bool packs = reinterpret_cast<std::uintptr_t>(x) % 16 == 0;
  const std::int64_t first = mine.first + threadIdx.x / sharers<T> * SumSquares::chunk;
  const auto count =
      static_cast<int>(max(std::int64_t{0}, min(mine.last - first, std::int64_t{SumSquares::chunk})));
  const int from = static_cast<int>(threadIdx.x) % sharers<T> * n;
  double lanes[n] = {};
  const auto add = [&](const Pack<T, n>& values) {
#pragma unroll
    for (int k = 0; k < n; ++k) {
      const auto value = static_cast<double>(static_cast<Arithmetic<T>>(values.at[k]));
      lanes[k] += value * value;
    }
  };
  if (packs && count == SumSquares::chunk) {
#pragma unroll 8
    for (int i = from; i < SumSquares::chunk; i += 16) add(load_pack<n>(x + first + i));
  } else {
    for (int i = from; i < count; i += 16) {
      Pack<T, n> values;
#pragma unroll
      for (int k = 0; k < n; ++k) values.at[k] = i + k < count ? x[first + i + k] : T(0);
      add(values);
    }
  }
#pragma unroll
  for (int half = 8; half >= n; half /= 2) {
#pragma unroll
    for (int k = 0; k < n; ++k) lanes[k] += __shfl_xor_sync(all_lanes, lanes[k], half / n);
  }
#pragma unroll
  for (int half = n / 2; half > 0; half /= 2) {
#pragma unroll
    for (int k = 0; k < half; ++k) lanes[k] += lanes[k + half];
  }
  if (from == 0 && count > 0) sums[first / SumSquares::chunk] = lanes[0];
}

constexpr int tree_threads = 256, tree_nodes = 4 * tree_threads;

// A subtree of core/tree.h a block: of `nodes` neighbours, a power of two, of which the first `pairs` are of two leaves. Where
// there are fewer than a block adds, zeros stand behind them, which change nothing.
__global__ void tree_kernel(const double* leaves, std::int64_t pairs, std::int64_t nodes, double* sums,
                            bool root) {
  struct Warps {
    double of[tree_threads / 32];
  };
  double node[4];
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    const std::int64_t i = std::int64_t{blockIdx.x} * tree_nodes + threadIdx.x * 4 + k;
    node[k] = i >= nodes ? 0 : i < pairs ? leaves[2 * i] + leaves[2 * i + 1] : leaves[i + pairs];
  }
  double sum = (node[0] + node[1]) + (node[2] + node[3]);
#pragma unroll
  for (int step = 1; step < 32; step *= 2) sum += __shfl_xor_sync(all_lanes, sum, step);
  auto& warps = shared<Warps>();
  if (lane_of_warp() == 0) warps.of[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int width = 1; width < tree_threads / 32; width *= 2)
    for (int i = 0; i < tree_threads / 32; i += 2 * width) warps.of[i] += warps.of[i + width];
  sums[blockIdx.x] = root ? sqrt(warps.of[0]) : warps.of[0];
}

constexpr unsigned clip_threads = 256;
template <typename T>
constexpr std::int64_t clip_part = std::int64_t{clip_threads} * in_16_bytes<T> * 4;

template <typename T>
__global__ void clip_kernel(const TensorList<1> list, double max_norm, const double* norm) {
  const double factor = max_norm / (*norm + 1e-6);
  if (factor >= 1) return;
  constexpr int n = in_16_bytes<T>;
  const auto by = static_cast<Arithmetic<T>>(factor);
  const Part mine = list.mine(clip_part<T>);
  auto* const x = static_cast<T*>(list.at[0][mine.tensor]);
  const bool packs = reinterpret_cast<std::uintptr_t>(x) % 16 == 0;
  const std::int64_t whole = packs ? mine.first + (mine.last - mine.first) / n * n : mine.first;
  for (std::int64_t i = mine.first + threadIdx.x * n; i < whole; i += clip_threads * n) {
    auto values = load_pack<n>(x + i);
#pragma unroll
    for (int k = 0; k < n; ++k) values.at[k] = static_cast<T>(by * static_cast<Arithmetic<T>>(values.at[k]));
    store_pack(x + i, values);
  }
  for (std::int64_t i = whole + threadIdx.x; i < mine.last; i += clip_threads)
    x[i] = static_cast<T>(by * static_cast<Arithmetic<T>>(x[i]));
}

}  // namespace

void SumSquares::cuda(std::span<const SquaresArgs> tensors) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
    visit_float(dtype, [&]<typename T>() {
      const auto launch = [](const TensorList<2>& list, unsigned blocks) {
        run(name, squares_kernel<T>, {blocks, square_threads}, list);
      };
      TensorLists<2, decltype(launch)> lists(squares_part<T>, launch);
      for (const auto& args : tensors)
        if (args.dtype == dtype) lists.add(args.count, args.x, args.sums);
      lists.flush();
    });
  }
}

void NormOfSums::cuda(const double* sums, std::int64_t count, double* norm) {
  if (count == 0) {
    run(name, tree_kernel, {1, tree_threads}, sums, 0, 0, norm, true);
    return;
  }
  auto nodes = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(count)));
  std::int64_t pairs = count - nodes;
  DeviceWorkspace memory(sizeof(double) * static_cast<std::size_t>(2 * (nodes / tree_nodes + 1)));
  auto *to = memory.as<double>(), *other = to + nodes / tree_nodes + 1;
  const double* from = sums;
  while (nodes > tree_nodes) {
    const std::int64_t blocks = nodes / tree_nodes;
    run(name, tree_kernel, {static_cast<unsigned>(blocks), tree_threads}, from, pairs, nodes, to, false);
    from = to;
    std::swap(to, other);
    nodes = blocks;
    pairs = 0;
  }
  run(name, tree_kernel, {1, tree_threads}, from, pairs, nodes, norm, true);
}

void Clip::cuda(std::span<const ClipArgs> tensors, double max_norm, const double* norm) {
  for (const DType dtype : {DType::f32, DType::f64, DType::bf16, DType::f16}) {
    visit_float(dtype, [&]<typename T>() {
      const auto launch = [&](const TensorList<1>& list, unsigned blocks) {
        run(name, clip_kernel<T>, {blocks, clip_threads}, list, max_norm, norm);
      };
      TensorLists<1, decltype(launch)> lists(clip_part<T>, launch);
      for (const auto& args : tensors)
        if (args.dtype == dtype) lists.add(args.count, args.x);
      lists.flush();
    });
  }
}

}  // namespace tutti::kernels
