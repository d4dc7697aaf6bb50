#include "kernels/reduce.h"

#include <algorithm>
#include <vector>

#include "kernels/cpu/elementwise_ops.h"
#include "kernels/multiversion.h"

namespace tutti::kernels {
namespace {

constexpr std::int64_t block = 128;

// Where n > block elements are cut in two: at a whole block.
std::int64_t first_part(std::int64_t n) { return (n / 2 + block - 1) / block * block; }

// Rows that reduce_columns needs beside its result.
std::int64_t scratch_rows(std::int64_t n) {
  return n <= block ? 0 : std::max(scratch_rows(first_part(n)), 1 + scratch_rows(n - first_part(n)));
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
  if (n <= block) return reduce_block<Op, T>(x, n);
  const std::int64_t half = first_part(n);
  return Op::f(reduce_row<Op, T>(x, half), reduce_row<Op, T>(x + half, n - half));
}

template <typename Op, typename T>
TUTTI_MULTIVERSION void combine_rows(Compute<T>* out, const T* x, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = Op::f(out[i], static_cast<Compute<T>>(x[i]));
}

// Columns: rows are added to one another, halves first, so that the tree is the same as for a row.
template <typename Op, typename T>
void reduce_columns(const T* x, Compute<T>* out, Compute<T>* scratch, std::int64_t n, std::int64_t inner) {
  if (n <= block) {
    for (std::int64_t i = 0; i < inner; ++i) out[i] = static_cast<Compute<T>>(x[i]);
    for (std::int64_t row = 1; row < n; ++row) combine_rows<Op, T>(out, x + row * inner, inner);
    return;
  }
  const std::int64_t half = first_part(n);
  reduce_columns<Op, T>(x, out, scratch, half, inner);
  reduce_columns<Op, T>(x + half * inner, scratch, scratch + inner, n - half, inner);
  for (std::int64_t i = 0; i < inner; ++i) out[i] = Op::f(out[i], scratch[i]);
}

template <typename Op, typename T>
void apply(const T* x, T* out, std::int64_t outer, std::int64_t n, std::int64_t inner) {
  if (inner == 1) {
    for (std::int64_t o = 0; o < outer; ++o) out[o] = T(reduce_row<Op, T>(x + o * n, n));
    return;
  }
  std::vector<Compute<T>> buffer(static_cast<std::size_t>((1 + scratch_rows(n)) * inner));
  for (std::int64_t o = 0; o < outer; ++o) {
    reduce_columns<Op, T>(x + o * n * inner, buffer.data(), buffer.data() + inner, n, inner);
    for (std::int64_t i = 0; i < inner; ++i) out[o * inner + i] = T(buffer[static_cast<std::size_t>(i)]);
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
    for (std::int64_t o = 0; o < outer; ++o) {
      for (std::int64_t i = 0; i < inner; ++i) {
        std::int64_t best = 0;
        for (std::int64_t k = 1; k < n; ++k) {
          const T a = from[(o * n + best) * inner + i];
          const T b = from[(o * n + k) * inner + i];
          if (b > a || (b != b && a == a)) best = k;
        }
        out[o * inner + i] = best;
      }
    }
  });
}

}  // namespace tutti::kernels
