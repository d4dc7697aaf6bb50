// Comparisons, and the choice between two.
#include <cstring>

#include "kernels/cpu/strided.h"
#include "kernels/elementwise.h"

namespace tutti::kernels {
namespace {

template <typename T, typename F>
void compare(const Shape& shape, void* out, const Operand& a, const Operand& b, F f) {
  const Shape out_strides = contiguous_strides(shape);
  for_each_run<3>(
      shape,
      {static_cast<char*>(out), static_cast<char*>(const_cast<void*>(a.data)),
       static_cast<char*>(const_cast<void*>(b.data))},
      {&out_strides, &a.strides, &b.strides}, {1, sizeof(T), sizeof(T)},
      [f](auto p, std::int64_t n, auto step) {
        for (; n > 0; --n, p[0] += step[0], p[1] += step[1], p[2] += step[2]) {
          *p[0] = static_cast<char>(f(*reinterpret_cast<const T*>(p[1]), *reinterpret_cast<const T*>(p[2])));
        }
      });
}

template <typename Word>
void choose(const Shape& shape, void* out, const Operand& condition, const Operand& a, const Operand& b) {
  const Shape out_strides = contiguous_strides(shape);
  for_each_run<4>(
      shape,
      {static_cast<char*>(out), static_cast<char*>(const_cast<void*>(condition.data)),
       static_cast<char*>(const_cast<void*>(a.data)), static_cast<char*>(const_cast<void*>(b.data))},
      {&out_strides, &condition.strides, &a.strides, &b.strides},
      {sizeof(Word), 1, sizeof(Word), sizeof(Word)}, [](auto p, std::int64_t n, auto step) {
        for (; n > 0; --n, p[0] += step[0], p[1] += step[1], p[2] += step[2], p[3] += step[3]) {
          std::memcpy(p[0], *p[1] ? p[2] : p[3], sizeof(Word));
        }
      });
}

}  // namespace

void Compare::cpu(CompareOp op, DType dtype, const Shape& shape, void* out, const Operand& a,
                  const Operand& b) {
  visit_dtype(dtype, [&]<typename T>() {
    switch (op) {
      case CompareOp::eq:
        return compare<T>(shape, out, a, b, [](T x, T y) { return x == y; });
      case CompareOp::ne:
        return compare<T>(shape, out, a, b, [](T x, T y) { return x != y; });
      case CompareOp::lt:
        return compare<T>(shape, out, a, b, [](T x, T y) { return x < y; });
      case CompareOp::le:
        return compare<T>(shape, out, a, b, [](T x, T y) { return x <= y; });
      case CompareOp::gt:
        return compare<T>(shape, out, a, b, [](T x, T y) { return x > y; });
      case CompareOp::ge:
        return compare<T>(shape, out, a, b, [](T x, T y) { return x >= y; });
    }
  });
}

void Where::cpu(std::size_t element_size, const Shape& shape, void* out, const Operand& condition,
                const Operand& a, const Operand& b) {
  switch (element_size) {
    case 1:
      return choose<std::uint8_t>(shape, out, condition, a, b);
    case 2:
      return choose<std::uint16_t>(shape, out, condition, a, b);
    case 4:
      return choose<std::uint32_t>(shape, out, condition, a, b);
    case 8:
      return choose<std::uint64_t>(shape, out, condition, a, b);
  }
}

}  // namespace tutti::kernels
