#include "kernels/softmax.h"

#include "kernels/cuda/rows.cuh"

namespace tutti::kernels {
namespace {

// Shifts that are infinite would make NaN of a row that begins with -inf.
template <typename C>
__device__ C finite_shift(C largest) {
  return largest == -std::numeric_limits<C>::infinity() ? C(0) : largest;
}

template <typename T, typename Plan>
__global__ __launch_bounds__(Plan::threads) void softmax_kernel(bool logarithm, const T* x, T* out,
                                                                std::int64_t rows,
                                                                typename Plan::Column columns,
                                                                std::int64_t causal_rows) {
  using C = Arithmetic<T>;
  using Column = typename Plan::Column;
  constexpr C least = -std::numeric_limits<C>::infinity();
  const bool idle = Plan::row() >= rows;
  const std::int64_t row = idle ? rows - 1 : Plan::row();
  x += row * columns;
  out += row * columns;
  Column seen = columns;
  if (causal_rows > 0) {
    const std::int64_t up_to = row % causal_rows + 1 + columns - causal_rows;
    seen = static_cast<Column>(up_to < 0 ? 0 : up_to > columns ? columns : up_to);
  }
  Piece<Plan, C> piece;
  const auto load = [&](Column first) {
    piece.load(x, first, seen, least);
    if (seen != columns) piece.cut(first, seen, least);
  };
  const auto largest_of_piece = [&] {
    C largest = least;
#pragma unroll
    for (int p = 0; p < Plan::packs; ++p) {
#pragma unroll
      for (int k = 0; k < Plan::n; ++k) largest = max(largest, piece.at[p][k]);  // NaN shows in the sum
    }
    return largest;
  };
  // Each element becomes f(element).
  const auto apply = [&](auto f) {
#pragma unroll
    for (int p = 0; p < Plan::packs; ++p) {
#pragma unroll
      for (int k = 0; k < Plan::n; ++k) piece.at[p][k] = f(piece.at[p][k]);
    }
  };
  const auto store = [&](Column first) {
    if (seen != columns) piece.cut(first, seen, C(0));
    if (!idle) piece.store(out, first, columns);
  };

  if constexpr (Plan::held) {
    load(0);
    const C largest = reduce_team<Plan>(largest_of_piece(), Largest());
    C sum = 0;
    // The largest goes first: added to the logarithm it would swallow its digits.
    if (logarithm) {
      apply([=](C value) { return value - largest; });
      apply([&sum](C value) {
        sum += exp_of<T>(value);
        return value;
      });
      const C log_sum = log(reduce_team<Plan>(sum, Sum()));
      apply([=](C value) { return value - log_sum; });
    } else {
      apply([&sum, largest](C value) {
        const C power = exp_of<T>(value, largest);
        sum += power;
        return power;
      });
      const C scale = C(1) / reduce_team<Plan>(sum, Sum());
      apply([=](C value) { return value * scale; });
    }
    store(0);
  } else {
    C own = least, sum = 0;
    for_each_piece<Plan>(seen, [&](Column first) {
      load(first);
      const C next = max(own, largest_of_piece()), shift = finite_shift(next);
      sum *= exp_of<T>(own, shift);
      apply([&sum, shift](C value) {
        sum += exp_of<T>(value, shift);
        return value;
      });
      own = next;
    });
    const C largest = reduce_team<Plan>(own, Largest());
    sum = reduce_team<Plan>(sum == C(0) ? sum : sum * exp_of<T>(own, largest), Sum());
    const C log_sum = log(sum), scale = C(1) / sum;
    for_each_piece<Plan>(columns, [&](Column first) {
      load(first);
      apply([=](C value) {
        value -= largest;
        return logarithm ? value - log_sum : exp_of<T>(value) * scale;
      });
      store(first);
    });
  }
}

template <typename T, typename Plan>
__global__ __launch_bounds__(Plan::threads) void softmax_grad_kernel(bool logarithm, const T* g, const T* y,
                                                                     T* out, std::int64_t rows,
                                                                     typename Plan::Column columns) {
  using C = Arithmetic<T>;
  using Column = typename Plan::Column;
  const bool idle = Plan::row() >= rows;
  const std::int64_t at = (idle ? rows - 1 : Plan::row()) * columns;
  Piece<Plan, T> gradient, result;
  C sum = 0;
  for_each_piece<Plan>(columns, [&](Column first) {
    gradient.load(g + at, first, columns, T(0.0f));
    result.load(y + at, first, columns, T(0.0f));
#pragma unroll
    for (int p = 0; p < Plan::packs; ++p) {
#pragma unroll
      for (int k = 0; k < Plan::n; ++k) {
        const C of_g = static_cast<C>(gradient.at[p][k]);
        sum += logarithm ? of_g : of_g * static_cast<C>(result.at[p][k]);
      }
    }
  });
  sum = reduce_team<Plan>(sum, Sum());
  for_each_piece<Plan>(columns, [&](Column first) {
    if constexpr (!Plan::held) {
      gradient.load(g + at, first, columns, T(0.0f));
      result.load(y + at, first, columns, T(0.0f));
    }
#pragma unroll
    for (int p = 0; p < Plan::packs; ++p) {
#pragma unroll
      for (int k = 0; k < Plan::n; ++k) {
        const C of_g = static_cast<C>(gradient.at[p][k]), of_y = static_cast<C>(result.at[p][k]);
        gradient.at[p][k] = T(logarithm ? of_g - exp_of<T>(of_y) * sum : of_y * (of_g - sum));
      }
    }
    if (!idle) gradient.store(out + at, first, columns);
  });
}

template <typename F>
void with_float(DType dtype, F f) {
  visit_dtype(dtype, [&]<typename T>() {
    if constexpr (std::is_floating_point_v<Arithmetic<T>>) f.template operator()<T>();
  });
}

}  // namespace

void Softmax::cuda(DType dtype, bool logarithm, const void* from, void* to, std::int64_t rows,
                   std::int64_t columns, std::int64_t causal_rows) {
  if (rows * columns == 0) return;
  with_float(dtype, [&]<typename T>() {
    const auto* x = static_cast<const T*>(from);
    auto* out = static_cast<T*>(to);
    with_row_plan<T, 1>(columns, fits_packs<in_16_bytes<T>>(columns, x, out), [&]<typename Plan>() {
      run(name, softmax_kernel<T, Plan>, {Plan::blocks(rows), Plan::threads}, logarithm, x, out, rows,
          static_cast<typename Plan::Column>(columns), causal_rows);
    });
  });
}

void SoftmaxGrad::cuda(DType dtype, bool logarithm, const void* of_y, const void* result, void* to,
                       std::int64_t rows, std::int64_t columns) {
  if (rows * columns == 0) return;
  with_float(dtype, [&]<typename T>() {
    const auto* g = static_cast<const T*>(of_y);
    const auto* y = static_cast<const T*>(result);
    auto* out = static_cast<T*>(to);
    with_row_plan<T, 2>(columns, fits_packs<in_16_bytes<T>>(columns, g, y, out), [&]<typename Plan>() {
      run(name, softmax_grad_kernel<T, Plan>, {Plan::blocks(rows), Plan::threads}, logarithm, g, y, out, rows,
          static_cast<typename Plan::Column>(columns));
    });
  });
}

}  // namespace tutti::kernels
