#include "comm/mpi/partial.h"

#include <cstring>

namespace tutti::comm {
namespace {

// Calls f<T>() where `dtype` is a floating-point type T.
template <typename F>
void visit_floating(DType dtype, F f) {
  visit_dtype(dtype, [&]<typename T>() {
    if constexpr (is_floating_point(dtype_of<T>)) f.template operator()<T>();
  });
}

}  // namespace

Partial::Partial(DType dtype, ReduceOp op)
    : of(dtype), asked(op), dtype(dtype), op(op == ReduceOp::avg ? ReduceOp::sum : op) {
  const bool exact = op == ReduceOp::min || op == ReduceOp::max;
  if (!exact && (dtype == DType::bf16 || dtype == DType::f16)) this->dtype = DType::f32;
}

void Partial::widen(std::size_t count, const std::byte* in, std::byte* out) const {
  if (count == 0) return;
  if (of == dtype) {
    std::memcpy(out, in, count * size_of(of));
    return;
  }
  visit_floating(of, [&]<typename T>() {
    const auto* from = reinterpret_cast<const T*>(in);
    auto* to = reinterpret_cast<float*>(out);
    for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<float>(from[i]);
  });
}

void Partial::round(std::size_t count, const std::byte* in, int ranks, std::byte* out) const {
  if (count == 0) return;
  if (of == dtype && asked != ReduceOp::avg) {
    if (in != out) std::memcpy(out, in, count * size_of(of));
    return;
  }
  visit_floating(of, [&]<typename T>() {
    using Sum = std::conditional_t<std::is_same_v<T, double>, double, float>;
    const Sum scale = asked == ReduceOp::avg ? Sum(1) / static_cast<Sum>(ranks) : Sum(1);
    const auto* from = reinterpret_cast<const Sum*>(in);
    auto* to = reinterpret_cast<T*>(out);
    for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<T>(from[i] * scale);
  });
}

}  // namespace tutti::comm
