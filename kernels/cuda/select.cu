// Comparisons, and the choice between two.
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/strided.cuh"

namespace tutti::kernels {
namespace {

template <typename T>
struct CompareBody {
  CompareOp op;
  bool* out;
  const T* a;
  const T* b;

  __device__ void operator()(const std::int64_t (&at)[3]) const {
    const auto x = static_cast<Arithmetic<T>>(a[at[1]]);
    const auto y = static_cast<Arithmetic<T>>(b[at[2]]);
    bool& result = out[at[0]];
    switch (op) {
      case CompareOp::eq:
        result = x == y;
        break;
      case CompareOp::ne:
        result = x != y;
        break;
      case CompareOp::lt:
        result = x < y;
        break;
      case CompareOp::le:
        result = x <= y;
        break;
      case CompareOp::gt:
        result = x > y;
        break;
      case CompareOp::ge:
        result = x >= y;
        break;
    }
  }
};

template <typename Word>
struct WhereBody {
  Word* out;
  const bool* condition;
  const Word* a;
  const Word* b;

  __device__ void operator()(const std::int64_t (&at)[4]) const {
    out[at[0]] = condition[at[1]] ? a[at[2]] : b[at[3]];
  }
};

template <typename Word>
void choose(const Shape& shape, void* out, const Operand& condition, const Operand& a, const Operand& b) {
  const Shape out_strides = contiguous_strides(shape);
  for_each<4>(Where::name, shape, {&out_strides, &condition.strides, &a.strides, &b.strides},
              WhereBody<Word>{static_cast<Word*>(out), static_cast<const bool*>(condition.data),
                              static_cast<const Word*>(a.data), static_cast<const Word*>(b.data)});
}

}  // namespace

void Compare::cuda(CompareOp op, DType dtype, const Shape& shape, void* out, const Operand& a,
                   const Operand& b) {
  const Shape out_strides = contiguous_strides(shape);
  visit_dtype(dtype, [&]<typename T>() {
    for_each<3>(name, shape, {&out_strides, &a.strides, &b.strides},
                CompareBody<T>{op, static_cast<bool*>(out), static_cast<const T*>(a.data),
                               static_cast<const T*>(b.data)});
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
