#include "kernels/index.h"

#include <cstring>

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

void IndexSelect::cpu(std::size_t element_size, const void* x, const std::int64_t* index, void* out,
                      std::int64_t outer, std::int64_t n, std::int64_t inner, std::int64_t count) {
  const std::size_t row = static_cast<std::size_t>(inner) * element_size;
  auto* to = static_cast<std::byte*>(out);
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t i = 0; i < count; ++i, to += row) {
      std::memcpy(to, static_cast<const std::byte*>(x) + static_cast<std::size_t>(o * n + index[i]) * row,
                  row);
    }
  }
}

void IndexAdd::cpu(DType dtype, void* out, const std::int64_t* index, const void* g, std::int64_t outer,
                   std::int64_t n, std::int64_t inner, std::int64_t count) {
  visit_dtype(dtype, [&]<typename T>() {
    const T* from = static_cast<const T*>(g);
    for (std::int64_t o = 0; o < outer; ++o) {
      for (std::int64_t i = 0; i < count; ++i, from += inner) {
        T* to = static_cast<T*>(out) + (o * n + index[i]) * inner;
        for (std::int64_t k = 0; k < inner; ++k) add_to(to[k], from[k]);
      }
    }
  });
}

void Gather::cpu(std::size_t element_size, const void* x, const std::int64_t* index, void* out,
                 std::int64_t outer, std::int64_t n, std::int64_t inner, std::int64_t m) {
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
    const T* from = static_cast<const T*>(g);
    for (std::int64_t o = 0; o < outer; ++o) {
      for (std::int64_t i = 0; i < m * inner; ++i, ++index, ++from) {
        add_to(static_cast<T*>(out)[(o * n + *index) * inner + i % inner], *from);
      }
    }
  });
}

}  // namespace tutti::kernels
