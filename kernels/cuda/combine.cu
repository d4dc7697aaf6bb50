#include "kernels/combine.h"

#include <algorithm>
#include <bit>
#include <cstdint>

#include "kernels/cuda/grid.cuh"
#include "kernels/cuda/math.cuh"
#include "tutti/core/tree.h"

namespace tutti::kernels {
namespace {

template <typename T, int n>
struct Inputs {
  const T* at[n];
};

// Integers wrap; signed overflow would be undefined.
template <typename C>
__device__ C combined(ReduceOp op, C a, C b) {
  switch (op) {
    case ReduceOp::min:
      return a < b || a != a ? a : b;
    case ReduceOp::max:
      return a > b || a != a ? a : b;
    default:
      break;
  }
  if constexpr (std::is_integral_v<C>) {
    using U = std::conditional_t<sizeof(C) < 4, std::uint32_t, std::make_unsigned_t<C>>;
    const U x = static_cast<U>(a), y = static_cast<U>(b);
    return static_cast<C>(op == ReduceOp::prod ? x * y : x + y);
  } else {
    return op == ReduceOp::prod ? a * b : a + b;
  }
}

// Known when compiling, so that everything stays in registers.
template <typename C, int n, typename T>
__device__ C tree_of(ReduceOp op, const T* const* in, std::size_t i) {
  if constexpr (n == 1) {
    return static_cast<C>(in[0][i]);
  } else {
    constexpr int left = static_cast<int>(left_leaves(n));
    return combined(op, tree_of<C, left>(op, in, i), tree_of<C, n - left>(op, in + left, i));
  }
}

// The same tree over any number. The leaves of its last level come first, `deep` of them, and weigh 1; those of the
// level above weigh 2. Two finished subtrees of one weight become their parent, at last the root.
template <typename C, typename T>
__device__ C tree_of(ReduceOp op, const T* const* in, int n, int deep, std::size_t i) {
  C finished[9];  // enough for 256
  int depth = 0;
  for (int leaf = 0; leaf < n; ++leaf) {
    C value = static_cast<C>(in[leaf][i]);
    // How many leaves of this weight the tree has up to here.
    int so_far = leaf < deep ? leaf + 1 : leaf + 1 - deep / 2;
    for (; so_far % 2 == 0; so_far /= 2) value = combined(op, finished[--depth], value);
    finished[depth++] = value;
  }
  return finished[0];
}

// `known` inputs, or `n` where it is 0. `out` may be one of the inputs: each thread reads only its own elements.
template <typename T, int known, int room>
__global__ void combine_kernel(ReduceOp op, std::size_t count, Inputs<T, room> in, int n, int deep,
                               Arithmetic<T> scale, T* out) {
  using C = Arithmetic<T>;
  const std::size_t step = std::size_t{gridDim.x} * blockDim.x;
  for (std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    C value;
    if constexpr (known > 0) {
      value = tree_of<C, known>(op, in.at, i);
    } else {
      value = tree_of<C>(op, in.at, n, deep, i);
    }
    if constexpr (std::is_floating_point_v<C>) value *= scale;
    out[i] = static_cast<T>(value);
  }
}

template <typename T, int known, int room>
void start(ReduceOp op, std::size_t count, std::span<const void* const> in, T* out, void* stream) {
  using C = Arithmetic<T>;
  constexpr std::size_t threads = 256, most_blocks = 4096;
  Inputs<T, room> inputs;
  std::transform(in.begin(), in.end(), inputs.at, [](const void* p) { return static_cast<const T*>(p); });
  const std::size_t deep = 2 * (in.size() - std::bit_floor(in.size()));
  const C scale = op == ReduceOp::avg ? C(1) / static_cast<C>(in.size()) : C(1);
  const auto blocks = static_cast<unsigned>(std::min((count + threads - 1) / threads, most_blocks));
  kernels::run(Combine::name, combine_kernel<T, known, room>,
               {blocks, static_cast<unsigned>(threads), 0, static_cast<cudaStream_t>(stream)}, op, count,
               inputs, static_cast<int>(in.size()), static_cast<int>(deep), scale, out);
}

// Calls `f.template operator()<known, room>()`.
template <typename F>
void choose(std::size_t inputs, F f) {
  switch (inputs) {
    case 2:
      return f.template operator()<2, 2>();
    case 4:
      return f.template operator()<4, 4>();
    case 8:
      return f.template operator()<8, 8>();
    default:
      break;
  }
  if (inputs <= 16) return f.template operator()<0, 16>();
  f.template operator()<0, Combine::most_cuda_inputs>();
}

}  // namespace

void Combine::cuda(ReduceOp op, DType dtype, std::size_t count, std::span<const void* const> in, void* out,
                   void* stream) {
  if (count == 0) return;
  if (in.size() == 1) {
    if (in[0] != out) {
      check(cudaMemcpyAsync(out, in[0], count * size_of(dtype), cudaMemcpyDeviceToDevice,
                            static_cast<cudaStream_t>(stream)),
            name);
    }
    return;
  }
  // On bytes that are 0 or 1, "or" is the maximum and "and" the minimum.
  if (dtype == DType::bool_) {
    dtype = DType::u8;
    op = op == ReduceOp::sum || op == ReduceOp::max ? ReduceOp::max : ReduceOp::min;
  }
  visit_dtype(dtype, [&]<typename T>() {
    if constexpr (!std::is_same_v<T, bool>) {
      choose(in.size(), [&]<int known, int room>() {
        start<T, known, room>(op, count, in, static_cast<T*>(out), stream);
      });
    }
  });
}

void Combine::cuda(ReduceOp op, DType dtype, std::size_t count, std::span<const void* const> in, void* out) {
  cuda(op, dtype, count, in, out, current_stream());
}

void Combine::load_cuda(DType dtype, std::size_t inputs) {
  visit_dtype(dtype, [&]<typename T>() {
    if constexpr (!std::is_same_v<T, bool>) {
      choose(inputs, [&]<int known, int room>() {
        cudaFuncAttributes attributes;
        check(cudaFuncGetAttributes(&attributes, combine_kernel<T, known, room>), name);
      });
    }
  });
}

}  // namespace tutti::kernels
