// Sums and maxima of a run in sixteen lanes that a compiler keeps in registers: faster than one running
// value, more accurate, and in an order that the length alone decides.
#pragma once

#include <cstdint>

#include "kernels/cpu/vector_math.h"

namespace tutti::kernels {

inline constexpr int lane_count = 16;

// Begins to fetch a row of n elements that is soon needed. While a kernel goes over one row several times no processor guesses that
// the next one follows; a long row it finds by itself.
template <typename T>
TUTTI_INLINE void prefetch_row(const T* row, std::int64_t n) {
  constexpr auto line = static_cast<std::int64_t>(64 / sizeof(T));
  if (n > 64 * line) return;
  for (std::int64_t i = 0; i < n; i += line) __builtin_prefetch(row + i);
}

// term(i) summed over i in [0, n).
template <typename T, typename F>
TUTTI_INLINE T lane_sum(std::int64_t n, F term) {
  T lane[lane_count] = {};
  std::int64_t i = 0;
  for (; i + lane_count <= n; i += lane_count) {
    for (int k = 0; k < lane_count; ++k) lane[k] += term(i + k);
  }
  for (int k = 0; i < n; ++i, ++k) lane[k] += term(i);
  for (int half = lane_count / 2; half > 0; half /= 2) {
    for (int k = 0; k < half; ++k) lane[k] += lane[k + half];
  }
  return lane[0];
}

// Largest of x[0 .. n), n >= 1. Of NaN it takes no notice but where it stands first: the sum that follows does. Of thirty-two
// lanes g++ 12 makes vectors, of sixteen maxima it does not.
template <typename T>
TUTTI_INLINE T lane_max(const T* x, std::int64_t n) {
  constexpr int lanes = 2 * lane_count;
  T lane[lanes];
  for (T& value : lane) value = x[0];
  const auto larger = [](T a, T b) { return b > a ? b : a; };
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    for (int k = 0; k < lanes; ++k) lane[k] = larger(lane[k], x[i + k]);
  }
  for (int k = 0; i < n; ++i, ++k) lane[k] = larger(lane[k], x[i]);
  for (int half = lanes / 2; half > 0; half /= 2) {
    for (int k = 0; k < half; ++k) lane[k] = larger(lane[k], lane[k + half]);
  }
  return lane[0];
}

}  // namespace tutti::kernels
