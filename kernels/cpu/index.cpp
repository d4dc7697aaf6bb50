#include "kernels/index.h"

#include <algorithm>
#include <cstring>

#include "core/parallel_for.h"

namespace tutti::kernels {
namespace {

// 16-bit floats add in f32; the rest in its own type.
template <typename T>
void add_to(T& out, const T& g) {
  if constexpr (std::is_same_v<T, bool>) {
    out = out || g;
  } else {
    out = T(out + g);
  }
}

}  // namespace

std::int64_t FindOutside::cpu(const std::int64_t* index, std::int64_t count, std::int64_t n) {
  for (std::int64_t i = 0; i < count; ++i) {
    if (index[i] < 0 || index[i] >= n) return i;
  }
  return -1;
}

void IndexSelect::cpu(DType dtype, const void* x, const std::int64_t* index, void* out, std::int64_t outer,
                      std::int64_t n, std::int64_t inner, std::int64_t count) {
  const std::size_t row = static_cast<std::size_t>(inner) * size_of(dtype);
  parallel_for(outer * count, piece_rows(inner), [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      std::memcpy(
          static_cast<std::byte*>(out) + static_cast<std::size_t>(i) * row,
          static_cast<const std::byte*>(x) + static_cast<std::size_t>(i / count * n + index[i % count]) * row,
          row);
    }
  });
}

void IndexAdd::cpu(DType dtype, void* out, const std::int64_t* index, const void* g, std::int64_t outer,
                   std::int64_t n, std::int64_t inner, std::int64_t count) {
  // Rows may meet in one: threads share the columns.
  const std::int64_t width = std::max<std::int64_t>(64, piece_rows(outer * count));
  visit_dtype(dtype, [&]<typename T>() {
    parallel_for(inner, width, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = 0; i < outer * count; ++i) {
        const T* from = static_cast<const T*>(g) + i * inner;
        T* to = static_cast<T*>(out) + (i / count * n + index[i % count]) * inner;
        for (std::int64_t k = first; k < last; ++k) add_to(to[k], from[k]);
      }
    });
  });
}

void Gather::cpu(DType dtype, const void* x, const std::int64_t* index, void* out, std::int64_t outer,
                 std::int64_t n, std::int64_t inner, std::int64_t m) {
  const std::size_t element_size = size_of(dtype);
  auto* to = static_cast<std::byte*>(out);
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t i = 0; i < m * inner; ++i, ++index, to += element_size) {
      const std::int64_t at = (o * n + *index) * inner + i % inner;
      std::memcpy(to, static_cast<const std::byte*>(x) + static_cast<std::size_t>(at) * element_size,
                  element_size);
    }
  }
}

void ScatterAdd::cpu(DType dtype, void* out, const std::int64_t* index, const void* g, std::int64_t outer,
                     std::int64_t n, std::int64_t inner, std::int64_t m) {
  visit_dtype(dtype, [&]<typename T>() {
    parallel_for(outer, piece_rows(m * inner), [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t at = first * m; at < last * m; ++at) {
        T* const rows = static_cast<T*>(out) + at / m * n * inner;
        for (std::int64_t k = at * inner; k < (at + 1) * inner; ++k)
          add_to(rows[index[k] * inner + k - at * inner], static_cast<const T*>(g)[k]);
      }
    });
  });
}

}  // namespace tutti::kernels
