#include "kernels/reduce.h"

#include <algorithm>

#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/rows.cuh"

namespace tutti::kernels {
namespace {

// What elements are folded in: lanes exchange no less than 32 bits.
template <typename T>
using Folded = std::conditional_t<sizeof(T) == 1, std::int32_t, Arithmetic<T>>;

// Each row of x [rows, count] is cut into `parts` of `part` elements, of which each gives one of out [rows, parts].
template <typename C, typename Plan, typename Op, typename T, typename O>
__global__ __launch_bounds__(Plan::threads) void fold_rows_kernel(Op op, const T* x, O* out,
                                                                  std::int64_t rows, std::int64_t count,
                                                                  std::int64_t part, std::int64_t parts) {
  const bool idle = Plan::row() >= rows * parts;
  const std::int64_t at = idle ? rows * parts - 1 : Plan::row();
  const std::int64_t row = at / parts, begin = (at - row * parts) * part;
  const int own = static_cast<int>(min(part, count - begin));
  x += row * count + begin;
  C total = op.template neutral<C>();
  const int whole = own / Plan::n * Plan::n;
  for (int first = 0; first < whole; first += Plan::piece) {
    Piece<Plan, C> piece;
    piece.load(x, first, whole, op.template neutral<C>());
    // In a tree, where elements in turn would lose digits.
    const C of_piece = fold_halves<Plan::packs>(
        [&](int p) { return fold_halves<Plan::n>([&](int k) { return piece.at[p][k]; }, op); }, op);
    total = op(total, of_piece);
  }
  if (whole + Plan::lane() < own) total = op(total, static_cast<C>(x[whole + Plan::lane()]));
  total = reduce_team<Plan>(total, op);
  if (!idle && Plan::lane() == 0) out[at] = static_cast<O>(total);
}

constexpr std::int64_t most_of_warp = 4096, most_of_block = 16384;  // elements that a team folds

// Parts depend on the length of a row alone.
template <typename C, int n, typename Op, typename T, typename O>
void fold_rows(Op op, const T* x, O* out, std::int64_t rows, std::int64_t count) {
  const auto start = [&]<typename Plan>(auto* to, std::int64_t part, std::int64_t parts) {
    run(Reduce::name, fold_rows_kernel<C, Plan, Op, T, std::remove_pointer_t<decltype(to)>>,
        {Plan::blocks(rows * parts), Plan::threads}, op, x, to, rows, count, part, parts);
  };
  using OfFew = RowPlan<n, 4, 4, true>;
  using OfWarp = RowPlan<n, 8, 32, true>;
  using OfBlock = RowPlan<n, 8, 256, true>;
  if (count <= 64) {
    start.template operator()<OfFew>(out, count, 1);
  } else if (count <= most_of_warp) {
    start.template operator()<OfWarp>(out, count, 1);
  } else if (count <= most_of_block) {
    start.template operator()<OfBlock>(out, count, 1);
  } else {
    const std::int64_t even = (count + most_of_block - 1) / most_of_block;
    const std::int64_t part = ((count + even - 1) / even + n - 1) / n * n, parts = (count + part - 1) / part;
    const DeviceWorkspace results(static_cast<std::size_t>(rows * parts) * sizeof(C));
    start.template operator()<OfBlock>(results.as<C>(), part, parts);
    fold_rows<C, 1>(op, static_cast<const C*>(results.as<C>()), out, rows, parts);
  }
}

template <typename Op, typename T>
void fold(Op op, const T* x, T* out, std::int64_t outer, std::int64_t n, std::int64_t inner) {
  using C = Folded<T>;
  constexpr int in_pack = std::is_floating_point_v<C> ? in_16_bytes<T> : 1;
  if (inner == 1) {
    if (fits_packs<in_pack>(outer == 1 ? in_pack : n, x)) {
      fold_rows<C, in_pack>(op, x, out, outer, n);
    } else {
      fold_rows<C, 1>(op, x, out, outer, n);
    }
  } else if (fits_packs<in_pack>(inner, x)) {
    fold_columns<C, in_pack>(Reduce::name, op, ColumnsOf<C, T>{x}, out, outer, n, inner);
  } else {
    fold_columns<C, 1>(Reduce::name, op, ColumnsOf<C, T>{x}, out, outer, n, inner);
  }
}

}  // namespace

void Reduce::cuda(Reduction op, DType dtype, const void* x, void* out, std::int64_t outer, std::int64_t n,
                  std::int64_t inner) {
  if (outer * inner == 0) return;
  if (n == 0) {
    check(cudaMemsetAsync(out, 0, static_cast<std::size_t>(outer * inner) * size_of(dtype), current_stream()),
          name);
    return;
  }
  visit_dtype(dtype, [&]<typename T>() {
    if constexpr (!std::is_same_v<T, bool>) {
      const auto* from = static_cast<const T*>(x);
      auto* to = static_cast<T*>(out);
      switch (op) {
        case Reduction::sum:
          return fold(Sum(), from, to, outer, n, inner);
        case Reduction::max:
          return fold(Largest(), from, to, outer, n, inner);
        case Reduction::min:
          return fold(Smallest(), from, to, outer, n, inner);
      }
    }
  });
}

}  // namespace tutti::kernels
