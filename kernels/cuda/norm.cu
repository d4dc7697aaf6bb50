#include "kernels/norm.h"

#include "kernels/cuda/rows.cuh"

namespace tutti::kernels {
namespace {

template <typename T, typename Plan>
__global__ __launch_bounds__(Plan::threads) void norm_kernel(bool root_mean_square, const T* x,
                                                             const Arithmetic<T>* weight,
                                                             const Arithmetic<T>* bias, Arithmetic<T> eps,
                                                             T* out, Arithmetic<T>* means,
                                                             Arithmetic<T>* rstds, std::int64_t rows,
                                                             typename Plan::Column columns) {
  using C = Arithmetic<T>;
  using Column = typename Plan::Column;
  const bool idle = Plan::row() >= rows;
  const std::int64_t row = idle ? rows - 1 : Plan::row();
  x += row * columns;
  out += row * columns;
  Piece<Plan, T> piece;
  if constexpr (Plan::held) piece.load(x, 0, columns, T(0.0f));
  // The sum of f(element) over the row.
  const auto sum_of = [&](auto f) {
    C sum = 0;
    for_each_piece<Plan>(columns, [&](Column first) {
      if constexpr (!Plan::held) piece.load(x, first, columns, T(0.0f));
      for_each_pack<Plan>(first, columns, [&](int p, Column) {
#pragma unroll
        for (int k = 0; k < Plan::n; ++k) sum += f(static_cast<C>(piece.at[p][k]));
      });
    });
    return reduce_team<Plan>(sum, Sum());
  };
  const C count = static_cast<C>(columns);
  const C mean = root_mean_square ? C(0) : sum_of([](C value) { return value; }) / count;
  const C squares = sum_of([mean](C value) { return (value - mean) * (value - mean); });
  const C rstd = C(1) / sqrt(squares / count + eps);
  if (!idle && Plan::lane() == 0) {
    means[row] = mean;
    rstds[row] = rstd;
  }
  for_each_piece<Plan>(columns, [&](Column first) {
    if constexpr (!Plan::held) piece.load(x, first, columns, T(0.0f));
    for_each_pack<Plan>(first, columns, [&](int p, Column column) {
      Pack<C, Plan::n> scale, shift;
      if (weight) scale = load_wide<Plan::n>(weight + column);
      if (bias) shift = load_wide<Plan::n>(bias + column);
#pragma unroll
      for (int k = 0; k < Plan::n; ++k) {
        C value = (static_cast<C>(piece.at[p][k]) - mean) * rstd;
        if (weight) value *= scale.at[k];
        if (bias) value += shift.at[k];
        piece.at[p][k] = T(value);
      }
    });
    if (!idle) piece.store(out, first, columns);
  });
}

}  // namespace

void Norm::cuda(DType dtype, bool root_mean_square, const void* from, const void* weight, const void* bias,
                double eps, void* to, void* mean, void* rstd, std::int64_t rows, std::int64_t columns) {
  if (rows * columns == 0) return;
  visit_dtype(dtype, [&]<typename T>() {
    using C = Arithmetic<T>;
    if constexpr (std::is_floating_point_v<C>) {
      const auto* x = static_cast<const T*>(from);
      auto* out = static_cast<T*>(to);
      const auto* scale = static_cast<const C*>(weight);
      const auto* shift = static_cast<const C*>(bias);
      const bool packed =
          fits_packs<in_16_bytes<T>>(columns, x, out) && fits_packs<in_16_bytes<C>>(columns, scale, shift);
      with_row_plan<T, 2>(columns, packed, [&]<typename Plan>() {
        run(name, norm_kernel<T, Plan>, {Plan::blocks(rows), Plan::threads}, root_mean_square, x, scale,
            shift, static_cast<C>(eps), out, static_cast<C*>(mean), static_cast<C*>(rstd), rows,
            static_cast<typename Plan::Column>(columns));
      });
    }
  });
}

}  // namespace tutti::kernels
