#include "ckpt/compare.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

namespace tutti::ckpt {
namespace {

constexpr std::size_t block = std::size_t{16} << 20;

template <typename T>
double distance(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    // Exact until it is rounded: the difference of two i64 fits in 64 bits without a sign.
    const auto x = static_cast<std::int64_t>(a), y = static_cast<std::int64_t>(b);
    return static_cast<double>(static_cast<std::uint64_t>(std::max(x, y)) -
                               static_cast<std::uint64_t>(std::min(x, y)));
  } else {
    const auto x = static_cast<double>(a), y = static_cast<double>(b);
    return x == y ? 0 : std::abs(x - y);  // of infinities too
  }
}

template <typename T>
void compare_values(const std::byte* a, const std::byte* b, std::size_t count, std::int64_t begin,
                    Difference& difference) {
  for (std::size_t i = 0; i < count; ++i, a += sizeof(T), b += sizeof(T)) {
    if (std::memcmp(a, b, sizeof(T)) == 0) continue;
    T x, y;
    std::memcpy(&x, a, sizeof x);
    std::memcpy(&y, b, sizeof y);
    if (difference.values++ == 0) {
      difference.first = begin + static_cast<std::int64_t>(i);
      difference.first_a = static_cast<double>(x);
      difference.first_b = static_cast<double>(y);
    }
    const double by = distance(x, y);
    if (std::isnan(by) || std::isnan(difference.max_abs)) {
      difference.max_abs = std::numeric_limits<double>::quiet_NaN();
    } else {
      difference.max_abs = std::max(difference.max_abs, by);
    }
  }
}

}  // namespace

Difference compare(const Checkpoint& a, const Checkpoint& b, const Checkpoint::TensorInfo& tensor,
                   const std::function<void(std::uint64_t)>& progress) {
  Difference difference;
  const auto size = size_of(tensor.dtype);
  const auto step = static_cast<std::int64_t>(block / size);
  const auto all = tensor.shape.numel();
  const auto room = static_cast<std::size_t>(std::min(step, all)) * size;
  std::vector<std::byte> of_a(room), of_b(room);
  for (std::int64_t first = 0; first < all; first += step) {
    const auto count = static_cast<std::size_t>(std::min(step, all - first));
    a.read(tensor.name, first, BufferView(of_a.data(), count, tensor.dtype));
    b.read(tensor.name, first, BufferView(of_b.data(), count, tensor.dtype));
    if (std::memcmp(of_a.data(), of_b.data(), count * size) != 0) {
      visit_dtype(tensor.dtype, [&]<typename T>() {
        // A byte of a BOOL that is neither 0 nor 1 is no bool.
        using Value = std::conditional_t<std::is_same_v<T, bool>, std::uint8_t, T>;
        compare_values<Value>(of_a.data(), of_b.data(), count, first, difference);
      });
    }
    progress(count * size);
  }
  return difference;
}

}  // namespace tutti::ckpt
