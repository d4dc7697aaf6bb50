#include "kernels/norm.h"

#include <algorithm>
#include <cmath>

#include "core/parallel_for.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/workspace.h"
#include "kernels/multiversion.h"

namespace tutti::kernels {
namespace {

constexpr std::int64_t most_sums = 1 << 20;  // elements of the sums of all pieces

template <typename T>
struct Statistics {
  T mean, rstd;
};

template <typename T>
TUTTI_MULTIVERSION Statistics<T> measure(const T* x, std::int64_t n, bool root_mean_square, double eps) {
  const T count = static_cast<T>(n);
  const T mean = root_mean_square ? T(0) : lane_sum<T>(n, [x](std::int64_t i) { return x[i]; }) / count;
  const T squares = lane_sum<T>(n, [=](std::int64_t i) { return (x[i] - mean) * (x[i] - mean); });
  return {mean, T(1) / std::sqrt(squares / count + static_cast<T>(eps))};
}

template <typename T>
TUTTI_MULTIVERSION void scale_row(const T* x, const T* weight, const T* bias, T mean, T rstd, T* out,
                                  std::int64_t n) {
  if (weight && bias) {
    for (std::int64_t i = 0; i < n; ++i) out[i] = (x[i] - mean) * rstd * weight[i] + bias[i];
  } else if (weight) {
    for (std::int64_t i = 0; i < n; ++i) out[i] = (x[i] - mean) * rstd * weight[i];
  } else {
    for (std::int64_t i = 0; i < n; ++i) out[i] = (x[i] - mean) * rstd;
  }
}

// dx = rstd * (h - mean(h) - xhat * mean(h * xhat)) with h = g * weight and xhat the normalised row.
template <typename T>
TUTTI_MULTIVERSION void grad_row(const T* g, const T* x, const T* weight, T mean, T rstd,
                                 bool root_mean_square, T* dx, std::int64_t n) {
  const T count = static_cast<T>(n);
  for (std::int64_t i = 0; i < n; ++i) dx[i] = weight ? g[i] * weight[i] : g[i];
  const T along = lane_sum<T>(n, [=](std::int64_t i) { return dx[i] * (x[i] - mean) * rstd; }) / count;
  const T shift = root_mean_square ? T(0) : lane_sum<T>(n, [=](std::int64_t i) { return dx[i]; }) / count;
  for (std::int64_t i = 0; i < n; ++i) dx[i] = rstd * (dx[i] - shift - (x[i] - mean) * rstd * along);
}

template <typename T>
TUTTI_MULTIVERSION void add_parameter_grads(const T* g, const T* x, T mean, T rstd, T* dweight, T* dbias,
                                            std::int64_t n) {
  if (dweight) {
    for (std::int64_t i = 0; i < n; ++i) dweight[i] += g[i] * (x[i] - mean) * rstd;
  }
  if (dbias) {
    for (std::int64_t i = 0; i < n; ++i) dbias[i] += g[i];
  }
}

// A function of its own, so that no compiler makes one operation of this sum and a product before it.
template <typename T>
TUTTI_MULTIVERSION void add_row(const T* a, const T* b, T* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = a[i] + b[i];
}

template <typename T>
void add_rows(const T* x, T* out, std::int64_t rows, std::int64_t columns) {
  std::fill_n(out, columns, T(0));
  for (std::int64_t row = 0; row < rows; ++row, x += columns) {
    for (std::int64_t i = 0; i < columns; ++i) out[i] += x[i];
  }
}

}  // namespace

void Norm::cpu(const NormRows& of, const Operands& operands) {
  const auto run = [&]<typename T>(T) {
    const std::int64_t columns = of.columns;
    parallel_for(of.rows, piece_rows(columns), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t row = first; row < last; ++row) {
        const auto row_of = [at = row * columns](const void* rows) {
          return static_cast<const T*>(rows) + at;
        };
        const T* from = row_of(operands.x);
        const bool has_next = row + 1 < last;
        if (has_next) prefetch_row(from + columns, columns);
        if (operands.residual) {
          if (has_next) prefetch_row(row_of(operands.residual) + columns, columns);
          T* const sum = static_cast<T*>(operands.sum) + row * columns;
          add_row(from, row_of(operands.residual), sum, columns);
          from = sum;
        }
        const auto [m, r] = measure(from, columns, of.root_mean_square, operands.eps);
        static_cast<T*>(operands.mean)[row] = m;
        static_cast<T*>(operands.rstd)[row] = r;
        scale_row(from, static_cast<const T*>(operands.weight), static_cast<const T*>(operands.bias), m, r,
                  static_cast<T*>(operands.out) + row * columns, columns);
      }
    });
  };
  of.dtype == DType::f64 ? run(double{}) : run(float{});
}

void NormGrad::cpu(const NormRows& of, const Operands& operands) {
  const auto run = [&]<typename T>(T) {
    const std::int64_t rows = of.rows, columns = of.columns;
    const std::int64_t most = std::max<std::int64_t>(1, most_sums / std::max<std::int64_t>(1, columns));
    const std::int64_t grain = std::max({std::int64_t{1}, 4 * piece_rows(columns), (rows + most - 1) / most});
    const std::int64_t pieces = (rows + grain - 1) / grain;
    Workspace<T> weight_sums(operands.dweight ? pieces * columns : 0);
    Workspace<T> bias_sums(operands.dbias ? pieces * columns : 0);
    T* const of_weight = weight_sums.data();
    T* const of_bias = bias_sums.data();
    parallel_for(rows, grain, [&](std::int64_t first, std::int64_t last) {
      const std::int64_t piece = first / grain * columns;
      for (T* sum : {of_weight, of_bias}) {
        if (sum) std::fill_n(sum + piece, columns, T(0));
      }
      for (std::int64_t row = first; row < last; ++row) {
        const auto row_of = [at = row * columns](const void* rows) {
          return static_cast<const T*>(rows) + at;
        };
        const T* gradient = row_of(operands.g);
        const T* from = row_of(operands.x);
        if (row + 1 < last) {
          prefetch_row(gradient + columns, columns);
          prefetch_row(from + columns, columns);
        }
        const T m = static_cast<const T*>(operands.mean)[row];
        const T r = static_cast<const T*>(operands.rstd)[row];
        if (operands.dx) {
          T* const dx = static_cast<T*>(operands.dx) + row * columns;
          grad_row(gradient, from, static_cast<const T*>(operands.weight), m, r, of.root_mean_square, dx,
                   columns);
          if (operands.of_x) add_row(row_of(operands.of_x), dx, dx, columns);
        }
        add_parameter_grads(gradient, from, m, r, of_weight ? of_weight + piece : nullptr,
                            of_bias ? of_bias + piece : nullptr, columns);
      }
    });
    if (operands.dweight) add_rows(of_weight, static_cast<T*>(operands.dweight), pieces, columns);
    if (operands.dbias) add_rows(of_bias, static_cast<T*>(operands.dbias), pieces, columns);
  };
  of.dtype == DType::f64 ? run(double{}) : run(float{});
}

}  // namespace tutti::kernels
