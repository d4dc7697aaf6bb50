// Comparisons, and the choice between two.
#include "kernels/cuda/map.cuh"
#include "kernels/elementwise.h"

namespace tutti::kernels {
namespace {

template <typename T>
struct CompareBody {
  CompareOp op;

  __device__ bool operator()(T a, T b) const {
    const auto x = static_cast<Arithmetic<T>>(a), y = static_cast<Arithmetic<T>>(b);
    switch (op) {
      case CompareOp::eq:
        return x == y;
      case CompareOp::ne:
        return x != y;
      case CompareOp::lt:
        return x < y;
      case CompareOp::le:
        return x <= y;
      case CompareOp::gt:
        return x > y;
      case CompareOp::ge:
        return x >= y;
    }
    return false;
  }
};

struct WhereBody {
  template <typename Word>
  __device__ Word operator()(bool condition, Word a, Word b) const {
    return condition ? a : b;
  }
};

template <typename Word>
void choose(const Shape& shape, void* out, const Operand& condition, const Operand& a, const Operand& b) {
  const Shape out_strides = contiguous_strides(shape);
  Map(Where::name, shape, Strided{static_cast<Word*>(out), &out_strides},
      Strided{static_cast<const bool*>(condition.data), &condition.strides},
      Strided{static_cast<const Word*>(a.data), &a.strides},
      Strided{static_cast<const Word*>(b.data), &b.strides})
      .run(WhereBody{});
}

}  // namespace

void Compare::cuda(CompareOp op, DType dtype, const Shape& shape, void* out, const Operand& a,
                   const Operand& b) {
  const Shape out_strides = contiguous_strides(shape);
  visit_dtype(dtype, [&]<typename T>() {
    Map(name, shape, Strided{static_cast<bool*>(out), &out_strides},
        Strided{static_cast<const T*>(a.data), &a.strides},
        Strided{static_cast<const T*>(b.data), &b.strides})
        .run(CompareBody<T>{op});
  });
}

void Where::cuda(std::size_t element_size, const Shape& shape, void* out, const Operand& condition,
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
