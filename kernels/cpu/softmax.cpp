#include "kernels/softmax.h"

#include <algorithm>
#include <cmath>

#include "core/parallel_for.h"
#include "kernels/cpu/lanes.h"
#include "kernels/multiversion.h"

namespace tutti::kernels {
namespace {

template <typename T>
TUTTI_MULTIVERSION void softmax_row(const T* x, T* out, std::int64_t n) {
  const T largest = lane_max(x, n);
  for (std::int64_t i = 0; i < n; ++i) out[i] = vexp_small(x[i] - largest);
  const T scale = T(1) / lane_sum<T>(n, [out](std::int64_t i) { return out[i]; });
  for (std::int64_t i = 0; i < n; ++i) out[i] *= scale;
}

template <typename T>
TUTTI_MULTIVERSION void log_softmax_row(const T* x, T* out, std::int64_t n) {
  const T largest = lane_max(x, n);
  const T log_sum = std::log(lane_sum<T>(n, [=](std::int64_t i) { return vexp_small(x[i] - largest); }));
  // The largest goes first: added to the logarithm it would swallow its digits.
  for (std::int64_t i = 0; i < n; ++i) out[i] = (x[i] - largest) - log_sum;
}

template <typename T>
TUTTI_MULTIVERSION void softmax_grad_row(const T* g, const T* y, T* out, std::int64_t n) {
  const T dot = lane_sum<T>(n, [=](std::int64_t i) { return g[i] * y[i]; });
  for (std::int64_t i = 0; i < n; ++i) out[i] = y[i] * (g[i] - dot);
}

template <typename T>
TUTTI_MULTIVERSION void log_softmax_grad_row(const T* g, const T* y, T* out, std::int64_t n) {
  const T total = lane_sum<T>(n, [g](std::int64_t i) { return g[i]; });
  for (std::int64_t i = 0; i < n; ++i) out[i] = g[i] - vexp(y[i]) * total;
}

template <typename T>
void forward(bool logarithm, const void* from, void* to, std::int64_t rows, std::int64_t columns,
             std::int64_t causal_rows) {
  parallel_for(rows, piece_rows(columns), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t row = first; row < last; ++row) {
      const T* x = static_cast<const T*>(from) + row * columns;
      T* out = static_cast<T*>(to) + row * columns;
      if (row + 1 < last) prefetch_row(x + columns, columns);
      const std::int64_t seen = causal_rows > 0 ? row % causal_rows + 1 + columns - causal_rows : columns;
      const std::int64_t n = std::clamp<std::int64_t>(seen, 0, columns);
      if (n > 0) logarithm ? log_softmax_row(x, out, n) : softmax_row(x, out, n);
      std::fill(out + n, out + columns, T(0));
    }
  });
}

template <typename T>
void backward(bool logarithm, const void* g, const void* y, void* out, std::int64_t rows,
              std::int64_t columns) {
  const auto f = logarithm ? log_softmax_grad_row<T> : softmax_grad_row<T>;
  parallel_for(rows, piece_rows(columns), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t at = first * columns; at < last * columns; at += columns) {
      const T *row_of_g = static_cast<const T*>(g) + at, *row_of_y = static_cast<const T*>(y) + at;
      if (at + columns < last * columns) {
        prefetch_row(row_of_g + columns, columns);
        prefetch_row(row_of_y + columns, columns);
      }
      f(row_of_g, row_of_y, static_cast<T*>(out) + at, columns);
    }
  });
}

}  // namespace

void Softmax::cpu(DType dtype, bool logarithm, const void* x, void* out, std::int64_t rows,
                  std::int64_t columns, std::int64_t causal_rows) {
  const auto f = dtype == DType::f64 ? forward<double> : forward<float>;
  f(logarithm, x, out, rows, columns, causal_rows);
}

void SoftmaxGrad::cpu(DType dtype, bool logarithm, const void* g, const void* y, void* out, std::int64_t rows,
                      std::int64_t columns) {
  const auto f = dtype == DType::f64 ? backward<double> : backward<float>;
  f(logarithm, g, y, out, rows, columns);
}

}  // namespace tutti::kernels
