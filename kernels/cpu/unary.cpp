#include "kernels/cpu/elementwise_ops.h"
#include "kernels/cpu/strided.h"
#include "kernels/elementwise.h"
#include "kernels/multiversion.h"

namespace tutti::kernels {
namespace {

template <typename Op, typename T>
TUTTI_MULTIVERSION void dense(const T* x, T* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = Op::template f<T>(x[i]);
}

template <typename Op, typename T>
void apply(const Shape& shape, void* out, const Operand& x) {
  const Shape out_strides = contiguous_strides(shape);
  for_each_run<2>(shape, {static_cast<char*>(out), static_cast<char*>(const_cast<void*>(x.data))},
                  {&out_strides, &x.strides}, {sizeof(T), sizeof(T)}, [](auto p, std::int64_t n, auto step) {
                    if constexpr (std::floating_point<T>) {
                      if (step[0] == sizeof(T) && step[1] == sizeof(T)) {
                        return dense<Op, T>(reinterpret_cast<const T*>(p[1]), reinterpret_cast<T*>(p[0]), n);
                      }
                    }
                    for (; n > 0; --n, p[0] += step[0], p[1] += step[1]) {
                      const auto value = static_cast<Compute<T>>(*reinterpret_cast<const T*>(p[1]));
                      *reinterpret_cast<T*>(p[0]) = T(Op::template f<Compute<T>>(value));
                    }
                  });
}

template <typename Op>
void dispatch(DType dtype, const Shape& shape, void* out, const Operand& x) {
  visit_dtype(dtype, [&]<typename T>() {
    if constexpr (!std::is_same_v<T, bool> && (Op::integers || is_floating_point(dtype_of<T>))) {
      apply<Op, T>(shape, out, x);
    }
  });
}

struct LogicalNot {
  template <typename T>
  static T f(T x) {
    return !x;
  }
};

}  // namespace

void Unary::cpu(UnaryOp op, DType dtype, const Shape& shape, void* out, const Operand& x) {
  switch (op) {
    case UnaryOp::neg:
      return dispatch<unary::Neg>(dtype, shape, out, x);
    case UnaryOp::abs:
      return dispatch<unary::Abs>(dtype, shape, out, x);
    case UnaryOp::sign:
      return dispatch<unary::Sign>(dtype, shape, out, x);
    case UnaryOp::square:
      return dispatch<unary::Square>(dtype, shape, out, x);
    case UnaryOp::exp:
      return dispatch<unary::Exp>(dtype, shape, out, x);
    case UnaryOp::log:
      return dispatch<unary::Log>(dtype, shape, out, x);
    case UnaryOp::sqrt:
      return dispatch<unary::Sqrt>(dtype, shape, out, x);
    case UnaryOp::rsqrt:
      return dispatch<unary::Rsqrt>(dtype, shape, out, x);
    case UnaryOp::reciprocal:
      return dispatch<unary::Reciprocal>(dtype, shape, out, x);
    case UnaryOp::sin:
      return dispatch<unary::Sin>(dtype, shape, out, x);
    case UnaryOp::cos:
      return dispatch<unary::Cos>(dtype, shape, out, x);
    case UnaryOp::tanh:
      return dispatch<unary::Tanh>(dtype, shape, out, x);
    case UnaryOp::erf:
      return dispatch<unary::Erf>(dtype, shape, out, x);
    case UnaryOp::floor:
      return dispatch<unary::Floor>(dtype, shape, out, x);
    case UnaryOp::sigmoid:
      return dispatch<unary::Sigmoid>(dtype, shape, out, x);
    case UnaryOp::relu:
      return dispatch<unary::Relu>(dtype, shape, out, x);
    case UnaryOp::gelu:
      return dispatch<unary::Gelu>(dtype, shape, out, x);
    case UnaryOp::gelu_tanh:
      return dispatch<unary::GeluTanh>(dtype, shape, out, x);
    case UnaryOp::silu:
      return dispatch<unary::Silu>(dtype, shape, out, x);
    case UnaryOp::logical_not:
      return apply<LogicalNot, bool>(shape, out, x);
  }
}

}  // namespace tutti::kernels
