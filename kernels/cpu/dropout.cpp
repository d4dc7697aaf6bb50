#include "kernels/dropout.h"

#include <type_traits>

#include "kernels/cpu/random_blocks.h"
#include "kernels/multiversion.h"

namespace tutti::kernels {
namespace {

template <typename T>
TUTTI_MULTIVERSION void drop(const std::uint32_t* words, const T* x, T* out, std::int64_t n, float keep,
                             double given_scale) {
  using C = std::conditional_t<sizeof(T) == 2, float, T>;
  const auto scale = static_cast<C>(given_scale);
  for (std::int64_t i = 0; i < n; ++i) {
    const C mask = random_unit(words[i]) < keep ? C(1) : C(0);
    out[i] = static_cast<T>(static_cast<C>(x[i]) * mask * scale);
  }
}

}  // namespace

void Dropout::cpu(DType dtype, const RandomState& state, const void* x, void* out, std::int64_t count,
                  double keep, double scale) {
  visit_dtype(dtype, [&]<typename T>() {
    if constexpr (!std::is_integral_v<T>) {
      for_each_blocks(state, count, 4, [=](const std::uint32_t* words, std::int64_t i, std::int64_t n) {
        drop(words, static_cast<const T*>(x) + i, static_cast<T*>(out) + i, n, static_cast<float>(keep),
             scale);
      });
    }
  });
}

}  // namespace tutti::kernels
