#include "kernels/matmul.h"

#include <algorithm>

#include "core/parallel_for.h"
#include "kernels/gemm.h"

namespace tutti::kernels {
namespace {

template <typename T>
void scale_rows(T* out, std::int64_t rows, std::int64_t columns, std::int64_t ld, T beta) {
  for (std::int64_t i = 0; i < rows; ++i) {
    for (std::int64_t j = 0; j < columns; ++j) out[i * ld + j] = beta == T(0) ? T(0) : beta * out[i * ld + j];
  }
}

// Products of a batch that make a piece for a thread, of those that are a single tile.
std::int64_t piece_products(const MatmulArgs& x) {
  return std::max<std::int64_t>(1, 500'000 / (x.m * x.n * std::max<std::int64_t>(1, x.k)));
}

template <typename T>
void multiply(const MatmulArgs& x) {
  const auto product = [&x](std::int64_t i) {
    return Gemm<T>{x.a_transposed,
                   x.b_transposed,
                   x.m,
                   x.n,
                   x.k,
                   static_cast<const T*>(x.a) + i * x.a_batch,
                   x.lda,
                   static_cast<const T*>(x.b) + i * x.b_batch,
                   x.ldb,
                   static_cast<T>(x.beta),
                   static_cast<T*>(x.out) + i * x.out_batch,
                   x.ldo};
  };
  const auto tiles = tiles_of(x.m, x.n, x.k);
  if (x.k == 0) {
    for (std::int64_t i = 0; i < x.batch; ++i)
      scale_rows(product(i).c, x.m, x.n, x.ldo, static_cast<T>(x.beta));
  } else if (tiles.down * tiles.across == 1) {
    parallel_for(x.batch, piece_products(x), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) gemm_tile(product(i));
    });
  } else {
    for (std::int64_t i = 0; i < x.batch; ++i) gemm(product(i));
  }
}

}  // namespace

void Matmul::cpu(const MatmulArgs& args) {
  if (args.m == 0 || args.n == 0) return;
  args.dtype == DType::f64 ? multiply<double>(args) : multiply<float>(args);
}

}  // namespace tutti::kernels
