#include <limits>

#include "kernels/cuda/rows.cuh"
#include "kernels/cuda/workspace.h"
#include "kernels/reduce.h"

namespace tutti::kernels {
namespace {

// What lanes exchange: no less than 32 bits.
template <typename T>
using Compared = std::conditional_t<sizeof(T) == 1, std::int32_t, Arithmetic<T>>;

template <typename C>
struct Best {
  C value;
  std::int64_t index;
};

// NaN is the largest; of equals the first wins.
template <typename C>
__device__ bool beats(C a, C b) {
  return a > b || (a != a && b == b);
}

struct First {
  __device__ std::int64_t operator()(std::int64_t a, std::int64_t b) const { return a < b ? a : b; }
};

template <typename Plan, typename C>
__device__ Best<C> best_of_team(Best<C> own) {
  const C value = reduce_team<Plan>(own.value, Largest());
  const bool wins =
      own.value == value || own.value != own.value;  // were the largest no NaN, nobody would have one
  return {value, reduce_team<Plan>(wins ? own.index : std::numeric_limits<std::int64_t>::max(), First())};
}

// Each row is cut into `parts` of `part` elements. A single part gives the index, several give what they found.
template <typename T, typename Plan>
__global__ __launch_bounds__(Plan::threads) void argmax_rows_kernel(const T* x, std::int64_t* out,
                                                                    Best<Compared<T>>* found,
                                                                    std::int64_t rows, std::int64_t count,
                                                                    std::int64_t part, std::int64_t parts) {
  using C = Compared<T>;
  const bool idle = Plan::row() >= rows * parts;
  const std::int64_t at = idle ? rows * parts - 1 : Plan::row();
  const std::int64_t row = at / parts, begin = (at - row * parts) * part;
  const int own = static_cast<int>(min(part, count - begin));
  x += row * count + begin;
  Best<C> best{Largest::neutral<C>(), std::numeric_limits<std::int64_t>::max()};
  for (int first = 0; first < own; first += Plan::piece) {
    Piece<Plan, C> piece;
    piece.load(x, first, own, Largest::neutral<C>());
    for_each_pack<Plan>(first, own, [&](int p, int column) {
      const C value = piece.at[p][0];
      const bool none = best.index == std::numeric_limits<std::int64_t>::max();
      if (none || beats(value, best.value)) best = {value, begin + column};
    });
  }
  best = best_of_team<Plan>(best);
  if (idle || Plan::lane() != 0) return;
  if (found) {
    found[at] = best;
  } else {
    out[at] = best.index;
  }
}

template <typename C, typename Plan>
__global__ __launch_bounds__(Plan::threads) void argmax_parts_kernel(const Best<C>* found, std::int64_t* out,
                                                                     std::int64_t rows, std::int64_t parts) {
  const bool idle = Plan::row() >= rows;
  const std::int64_t row = idle ? rows - 1 : Plan::row();
  found += row * parts;
  Best<C> best = found[min(std::int64_t{Plan::lane()}, parts - 1)];
  for (std::int64_t i = Plan::lane() + Plan::team; i < parts; i += Plan::team) {
    if (beats(found[i].value, best.value)) best = found[i];
  }
  best = best_of_team<Plan>(best);
  if (!idle && Plan::lane() == 0) out[row] = best.index;
}

// A thread a column.
template <typename T>
__global__ void argmax_columns_kernel(const T* x, std::int64_t* out, std::int64_t columns, std::int64_t n,
                                      std::int64_t inner) {
  using C = Compared<T>;
  const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (at >= columns) return;
  const T* column = x + at / inner * n * inner + at % inner;
  C best = static_cast<C>(*column);
  std::int64_t index = 0;
#pragma unroll 4
  for (std::int64_t k = 1; k < n; ++k) {
    const C value = static_cast<C>(column[k * inner]);
    if (beats(value, best)) {
      best = value;
      index = k;
    }
  }
  out[at] = index;
}

template <typename T>
void argmax_rows(const T* x, std::int64_t* out, std::int64_t rows, std::int64_t count) {
  using C = Compared<T>;
  using OfWarp = RowPlan<1, 8, 32, true>;
  using OfBlock = RowPlan<1, 8, 256, true>;
  constexpr std::int64_t most_of_warp = 1024, most_of_block = 16384;
  if (count <= most_of_warp) {
    run(ArgMax::name, argmax_rows_kernel<T, OfWarp>, {OfWarp::blocks(rows), OfWarp::threads}, x, out, nullptr,
        rows, count, count, std::int64_t{1});
    return;
  }
  const std::int64_t even = (count + most_of_block - 1) / most_of_block;
  const std::int64_t part = (count + even - 1) / even, parts = (count + part - 1) / part;
  if (parts == 1) {
    run(ArgMax::name, argmax_rows_kernel<T, OfBlock>, {OfBlock::blocks(rows), OfBlock::threads}, x, out,
        nullptr, rows, count, count, parts);
    return;
  }
  const DeviceWorkspace found(static_cast<std::size_t>(rows * parts) * sizeof(Best<C>));
  run(ArgMax::name, argmax_rows_kernel<T, OfBlock>, {OfBlock::blocks(rows * parts), OfBlock::threads}, x, out,
      found.as<Best<C>>(), rows, count, part, parts);
  run(ArgMax::name, argmax_parts_kernel<C, OfWarp>, {OfWarp::blocks(rows), OfWarp::threads},
      found.as<Best<C>>(), out, rows, parts);
}

}  // namespace

void ArgMax::cuda(DType dtype, const void* from, std::int64_t* out, std::int64_t outer, std::int64_t n,
                  std::int64_t inner) {
  if (outer * n * inner == 0) return;
  visit_dtype(dtype, [&]<typename T>() {
    const auto* x = static_cast<const T*>(from);
    if (inner == 1) return argmax_rows(x, out, outer, n);
    constexpr unsigned threads = 128;
    const auto blocks = static_cast<unsigned>((outer * inner + threads - 1) / threads);
    run(name, argmax_columns_kernel<T>, {blocks, threads}, x, out, outer * inner, n, inner);
  });
}

}  // namespace tutti::kernels
