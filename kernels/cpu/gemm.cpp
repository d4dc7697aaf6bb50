#include "kernels/gemm.h"

#include <algorithm>

#include "core/parallel_for.h"

namespace tutti::kernels {
namespace {

std::int64_t quotient(std::int64_t n, std::int64_t size) { return (n + size - 1) / size; }

// `parts` equal ones, of whole vectors.
std::int64_t part(std::int64_t n, std::int64_t parts) {
  return std::min(n, quotient(quotient(n, parts), 16) * 16);
}

}  // namespace

// For each tile a library copies its rows and columns into an order of its own. Of 512 x 384 that takes some seven per cent of the
// time, of 128 x 192 twenty; so there are few large tiles, but eight where each is a millisecond's work, and four where it
// is a tenth of one.
GemmTiles tiles_of(std::int64_t m, std::int64_t n, std::int64_t k) {
  if (m == 0 || n == 0) return {0, 0, 0, 0};
  std::int64_t down = 1, across = 1;
  const auto work = [&] { return part(m, down) * part(n, across) * k; };
  const auto split = [&](std::int64_t least_rows, std::int64_t least_columns) {
    const bool by_rows = part(m, down) >= least_rows * 2, by_columns = part(n, across) >= least_columns * 2;
    if (!by_rows && !by_columns) return false;
    (by_rows && (!by_columns || part(m, down) >= part(n, across)) ? down : across) *= 2;
    return true;
  };
  while (work() > (down * across < 8 ? 64'000'000 : 128'000'000) && split(256, 384)) {
  }
  while (down * across < 4 && work() > 8'000'000 && split(16, 16)) {
  }
  const std::int64_t rows = part(m, down), columns = part(n, across);
  return {rows, columns, quotient(m, rows), quotient(n, columns)};
}

template <typename T>
void gemm(const Gemm<T>& product) {
  const auto tiles = tiles_of(product.m, product.n, product.k);
  parallel_for(tiles.down * tiles.across, 1, [&](std::int64_t i, std::int64_t) {
    const std::int64_t row = i / tiles.across * tiles.rows, column = i % tiles.across * tiles.columns;
    Gemm<T> tile = product;
    tile.m = std::min(tiles.rows, product.m - row);
    tile.n = std::min(tiles.columns, product.n - column);
    tile.a += product.a_transposed ? row : row * product.lda;
    tile.b += product.b_transposed ? column * product.ldb : column;
    tile.c += row * product.ldc + column;
    gemm_tile(tile);
  });
}

template void gemm<float>(const Gemm<float>&);
template void gemm<double>(const Gemm<double>&);

}  // namespace tutti::kernels
