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

using Parts = std::vector<std::pair<std::int64_t, std::int64_t>>;

// The parts, of up to `most`, that threads reduce each for itself: subtrees of the one tree, whose leaves are blocks of `of`.
void cut(std::int64_t first, std::int64_t n, std::int64_t most, std::int64_t of, Parts& parts) {
  if (n <= most) return parts.emplace_back(first, n), void();
  const std::int64_t half = first_part(n, of);
  cut(first, half, most, of, parts);
  cut(first + half, n - half, most, of, parts);
}

// Joins the parts' results, rows of `width`, into the first of them, which it returns.
template <typename Op, typename C>
C* join(std::int64_t n, std::int64_t most, std::int64_t of, std::int64_t width, C*& part) {
  if (n <= most) return std::exchange(part, part + width);
  const std::int64_t half = first_part(n, of);
  C* const left = join<Op>(half, most, of, width, part);
  const C* const right = join<Op>(n - half, most, of, width, part);
  combine_rows<Op, C>(left, right, width);
  return left;
}

template <typename Op, typename T>
Compute<T> reduce_long_row(const T* x, std::int64_t n) {
  Parts parts;
  cut(0, n, long_row, row_block, parts);
  Workspace<Compute<T>> results(std::ssize(parts));
  parallel_for(std::ssize(parts), 1, [&](std::int64_t i, std::int64_t) {
    const auto& [first, count] = parts[static_cast<std::size_t>(i)];
    results.data()[i] = reduce_row<Op, T>(x + first, count);
  });
  auto* part = results.data();
  return *join<Op>(n, long_row, row_block, 1, part);
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

// All columns of [outer, n, inner], by blocks of them that the first cache holds, and of many rows by parts.
template <typename Op, typename T>
void reduce_all_columns(const T* x, T* out, std::int64_t outer, std::int64_t n, std::int64_t inner) {
  using C = Compute<T>;
  const std::int64_t width = std::min(inner, std::max<std::int64_t>(1024, piece_rows(n)));
  const std::int64_t blocks = (inner + width - 1) / width, most = std::max(block, long_row / width);
  Parts parts;
  cut(0, n, most, block, parts);
  std::int64_t beside = 0;
  for (const auto& part : parts) beside = std::max(beside, scratch_rows(part.second));
  const std::int64_t count = std::ssize(parts);
  Workspace<C> results(count == 1 ? 0 : outer * blocks * count * width);
  const auto columns = [&](std::int64_t i) { return std::min(width, inner - i % blocks * width); };
  const auto write = [&](std::int64_t i, const C* row) {
    T* const to = out + i / blocks * inner + i % blocks * width;
    for (std::int64_t k = 0; k < columns(i); ++k) to[k] = T(row[k]);
  };
  parallel_for(outer * blocks * count, piece_rows(std::min(n, most) * width),
               [&](std::int64_t begin, std::int64_t end) {
                 Workspace<C> buffer((1 + beside) * width);
                 for (std::int64_t piece = begin; piece < end; ++piece) {
                   const std::int64_t i = piece / count, p = piece % count, w = columns(i);
                   const auto& [first, rows] = parts[static_cast<std::size_t>(p)];
                   const T* const from = x + (i / blocks * n + first) * inner + i % blocks * width;
                   C* const to = count == 1 ? buffer.data() : results.data() + i * count * width + p * w;
                   reduce_columns<Op>(from, inner, to, buffer.data() + w, rows, w);
                   if (count == 1) write(i, to);
                 }
               });
  for (std::int64_t i = 0; count > 1 && i < outer * blocks; ++i) {
    C* part = results.data() + i * count * width;
    write(i, join<Op>(n, most, block, columns(i), part));
  }
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
  } else {
    reduce_all_columns<Op>(x, out, outer, n, inner);
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
