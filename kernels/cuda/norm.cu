#include "kernels/norm.h"

#include "kernels/cuda/rows.cuh"

namespace tutti::kernels {
namespace {

template <typename T>
struct Rows {
  using C = Arithmetic<T>;
  const T* x;
  const T* residual;
  const C* weight;
  const C* bias;
  T* sum;
  T* out;
  C* mean;
  C* rstd;
};

template <typename T, typename Plan>
__global__ __launch_bounds__(Plan::threads) void norm_kernel(const Rows<T> of, bool root_mean_square,
                                                             Arithmetic<T> eps, std::int64_t rows,
                                                             typename Plan::Column columns) {
  using C = Arithmetic<T>;
  using Column = typename Plan::Column;
  const bool idle = Plan::row() >= rows;
  const std::int64_t row = idle ? rows - 1 : Plan::row();
  const T* x = of.x + row * columns;
  Piece<Plan, T> piece;
  if constexpr (Plan::held) piece.load(x, 0, columns, T(0.0f));
  if (of.residual) {
    for_each_piece<Plan>(columns, [&](Column first) {
      if constexpr (!Plan::held) piece.load(x, first, columns, T(0.0f));
      Piece<Plan, T> other;
      other.load(of.residual + row * columns, first, columns, T(0.0f));
#pragma unroll
      for (int p = 0; p < Plan::packs; ++p) {
#pragma unroll
        for (int k = 0; k < Plan::n; ++k)
          piece.at[p][k] = T(static_cast<C>(piece.at[p][k]) + static_cast<C>(other.at[p][k]));
      }
      if (!idle) piece.store(of.sum + row * columns, first, columns);
    });
    x = of.sum + row * columns;  // each thread comes back for what it wrote
  }
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
    of.mean[row] = mean;
    of.rstd[row] = rstd;
  }
  for_each_piece<Plan>(columns, [&](Column first) {
    if constexpr (!Plan::held) piece.load(x, first, columns, T(0.0f));
    for_each_pack<Plan>(first, columns, [&](int p, Column column) {
      Pack<C, Plan::n> scale, shift;
      if (of.weight) scale = load_wide<Plan::n>(of.weight + column);
      if (of.bias) shift = load_wide<Plan::n>(of.bias + column);
#pragma unroll
      for (int k = 0; k < Plan::n; ++k) {
        C value = (static_cast<C>(piece.at[p][k]) - mean) * rstd;
        if (of.weight) value *= scale.at[k];
        if (of.bias) value += shift.at[k];
        piece.at[p][k] = T(value);
      }
    });
    if (!idle) piece.store(of.out + row * columns, first, columns);
  });
}

}  // namespace

void Norm::cuda(const NormRows& sizes, const Operands& operands) {
  const std::int64_t rows = sizes.rows, columns = sizes.columns;
  if (rows * columns == 0) return;
  visit_dtype(sizes.dtype, [&]<typename T>() {
    using C = Arithmetic<T>;
    if constexpr (std::is_floating_point_v<C>) {
      const Rows<T> of{static_cast<const T*>(operands.x),      static_cast<const T*>(operands.residual),
                       static_cast<const C*>(operands.weight), static_cast<const C*>(operands.bias),
                       static_cast<T*>(operands.sum),          static_cast<T*>(operands.out),
                       static_cast<C*>(operands.mean),         static_cast<C*>(operands.rstd)};
      const bool packed = fits_packs<in_16_bytes<T>>(columns, of.x, of.residual, of.sum, of.out) &&
                          fits_packs<in_16_bytes<C>>(columns, of.weight, of.bias);
      with_row_plan<T, 2>(columns, packed, [&]<typename Plan>() {
        run(name, norm_kernel<T, Plan>, {Plan::blocks(rows), Plan::threads}, of, sizes.root_mean_square,
            static_cast<C>(operands.eps), rows, static_cast<typename Plan::Column>(columns));
      });
    }
  });
}

}  // namespace tutti::kernels
