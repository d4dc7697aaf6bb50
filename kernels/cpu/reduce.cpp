#include "kernels/reduce.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "core/parallel_for.h"
#include "kernels/cpu/elementwise_ops.h"
#include "kernels/cpu/workspace.h"
#include "kernels/multiversion.h"

namespace tutti::kernels {
namespace {

// What is added without a tree: a part of a row, in lanes, and rows of a column.
constexpr std::int64_t row_block = 1024, block = 128;

// Where n > `of` elements are cut in two: at a whole block.
std::int64_t first_part(std::int64_t n, std::int64_t of) { return (n / 2 + of - 1) / of * of; }

// Rows that reduce_columns needs beside its result.
std::int64_t scratch_rows(std::int64_t n) {
  return n <= block
             ? 0
             : std::max(scratch_rows(first_part(n, block)), 1 + scratch_rows(n - first_part(n, block)));
}

struct Add {
  template <typename T>
  TUTTI_INLINE static T f(T a, T b) {
    return static_cast<T>(a + b);
  }
};

// A row: sixteen running values that the compiler keeps in registers, then those in a fixed tree.
template <typename Op, typename T>
TUTTI_MULTIVERSION Compute<T> reduce_block(const T* x, std::int64_t n) {
  using C = Compute<T>;
  constexpr std::int64_t lanes = 16;
  if (n < lanes) {
    C result = static_cast<C>(x[0]);
    for (std::int64_t i = 1; i < n; ++i) result = Op::f(result, static_cast<C>(x[i]));
    return result;
  }
  C lane[lanes];
  for (std::int64_t k = 0; k < lanes; ++k) lane[k] = static_cast<C>(x[k]);
  std::int64_t i = lanes;
  for (; i + lanes <= n; i += lanes) {
    for (std::int64_t k = 0; k < lanes; ++k) lane[k] = Op::f(lane[k], static_cast<C>(x[i + k]));
  }
  for (std::int64_t k = 0; i < n; ++i, ++k) lane[k] = Op::f(lane[k], static_cast<C>(x[i]));
  for (std::int64_t half = lanes / 2; half > 0; half /= 2) {
    for (std::int64_t k = 0; k < half; ++k) lane[k] = Op::f(lane[k], lane[k + half]);
  }
  return lane[0];
}

template <typename Op, typename T>
Compute<T> reduce_row(const T* x, std::int64_t n) {
  if (n <= row_block) return reduce_block<Op, T>(x, n);
  const std::int64_t half = first_part(n, row_block);
  return Op::f(reduce_row<Op, T>(x, half), reduce_row<Op, T>(x + half, n - half));
}

template <typename Op, typename T>
TUTTI_MULTIVERSION void combine_rows(Compute<T>* out, const T* x, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = Op::f(out[i], static_cast<Compute<T>>(x[i]));
}

constexpr std::int64_t long_row = 4 * piece_elements;

// The parts of a long row that threads reduce each for itself: subtrees of the one tree.
void cut(std::int64_t first, std::int64_t n, std::vector<std::pair<std::int64_t, std::int64_t>>& parts) {
  if (n <= long_row) return parts.emplace_back(first, n), void();
  const std::int64_t half = first_part(n, row_block);
  cut(first, half, parts);
  cut(first + half, n - half, parts);
}

template <typename Op, typename C>
C join(std::int64_t n, const C*& part) {
  if (n <= long_row) return *part++;
  const std::int64_t half = first_part(n, row_block);
  const C left = join<Op>(half, part);
  return Op::f(left, join<Op>(n - half, part));
}

template <typename Op, typename T>
Compute<T> reduce_long_row(const T* x, std::int64_t n) {
  std::vector<std::pair<std::int64_t, std::int64_t>> parts;
  cut(0, n, parts);
  Workspace<Compute<T>> results(std::ssize(parts));
  parallel_for(std::ssize(parts), 1, [&](std::int64_t i, std::int64_t) {
    const auto& [first, count] = parts[static_cast<std::size_t>(i)];
    results.data()[i] = reduce_row<Op, T>(x + first, count);
  });
  const Compute<T>* part = results.data();
  return join<Op>(n, part);
}

// Columns: rows, `apart` elements from one another, are added, halves first.
template <typename Op, typename T>
void reduce_columns(const T* x, std::int64_t apart, Compute<T>* out, Compute<T>* scratch, std::int64_t n,
                    std::int64_t width) {
  if (n <= block) {
    for (std::int64_t i = 0; i < width; ++i) out[i] = static_cast<Compute<T>>(x[i]);
    for (std::int64_t row = 1; row < n; ++row) combine_rows<Op, T>(out, x + row * apart, width);
    return;
  }
  const std::int64_t half = first_part(n, block);
  reduce_columns<Op, T>(x, apart, out, scratch, half, width);
  reduce_columns<Op, T>(x + half * apart, apart, scratch, scratch + width, n - half, width);
  for (std::int64_t i = 0; i < width; ++i) out[i] = Op::f(out[i], scratch[i]);
}

template <typename Op, typename T>
void apply(const T* x, T* out, std::int64_t outer, std::int64_t n, std::int64_t inner) {
  if (outer * inner == 0) return;
  if (inner == 1 && outer == 1) {
    *out = T(reduce_long_row<Op, T>(x, n));
  } else if (inner == 1) {
    parallel_for(outer, piece_rows(n), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t o = first; o < last; ++o) out[o] = T(reduce_row<Op, T>(x + o * n, n));
    });
  } else {  // blocks of columns that are worth a piece, and are read by the cache line
    const std::int64_t width = std::min(inner, std::max<std::int64_t>(128, piece_rows(n)));
    const std::int64_t blocks = (inner + width - 1) / width;
    parallel_for(outer * blocks, piece_rows(n * width), [&](std::int64_t first, std::int64_t last) {
      Workspace<Compute<T>> buffer((1 + scratch_rows(n)) * width);
      for (std::int64_t i = first; i < last; ++i) {
        const std::int64_t o = i / blocks, column = i % blocks * width, w = std::min(width, inner - column);
        reduce_columns<Op, T>(x + o * n * inner + column, inner, buffer.data(), buffer.data() + w, n, w);
        for (std::int64_t k = 0; k < w; ++k) out[o * inner + column + k] = T(buffer.data()[k]);
      }
    });
  }
}

}  // namespace

void Reduce::cpu(Reduction op, DType dtype, const void* x, void* out, std::int64_t outer, std::int64_t n,
                 std::int64_t inner) {
  visit_dtype(dtype, [&]<typename T>() {
    if constexpr (!std::is_same_v<T, bool>) {
      const auto* from = static_cast<const T*>(x);
      auto* to = static_cast<T*>(out);
      if (n == 0) return std::fill_n(to, outer * inner, T(0.0f)), void();
      switch (op) {
        case Reduction::sum:
          return apply<Add, T>(from, to, outer, n, inner);
        case Reduction::max:
          return apply<binary::Maximum, T>(from, to, outer, n, inner);
        case Reduction::min:
          return apply<binary::Minimum, T>(from, to, outer, n, inner);
      }
    }
  });
}

void ArgMax::cpu(DType dtype, const void* x, std::int64_t* out, std::int64_t outer, std::int64_t n,
                 std::int64_t inner) {
  visit_dtype(dtype, [&]<typename T>() {
    const auto* from = static_cast<const T*>(x);
    parallel_for(outer, piece_rows(n * inner), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t at = first * inner; at < last * inner; ++at) {
        const T* column = from + at / inner * n * inner + at % inner;
        std::int64_t best = 0;
        for (std::int64_t k = 1; k < n; ++k) {
          const T a = column[best * inner], b = column[k * inner];
          if (b > a || (b != b && a == a)) best = k;
        }
        out[at] = best;
      }
    });
  });
}

}  // namespace tutti::kernels
