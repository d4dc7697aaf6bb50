#include "kernels/cpu/elementwise_ops.h"
#include "kernels/cpu/strided.h"
#include "kernels/elementwise.h"
#include "kernels/multiversion.h"

namespace tutti::kernels {
namespace {

template <typename Op, typename T>
TUTTI_MULTIVERSION void dense(const T* a, const T* b, T* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = Op::template f<T>(a[i], b[i]);
}

template <typename Op, typename T>
TUTTI_MULTIVERSION void scalar_a(T a, const T* b, T* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = Op::template f<T>(a, b[i]);
}

template <typename Op, typename T>
TUTTI_MULTIVERSION void scalar_b(const T* a, T b, T* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) out[i] = Op::template f<T>(a[i], b);
}

template <typename Op, typename T>
bool fast_run(const std::array<char*, 3>& p, std::int64_t n, const std::array<std::int64_t, 3>& step) {
  constexpr std::int64_t size = sizeof(T);
  if (step[0] != size) return false;
  T* out = reinterpret_cast<T*>(p[0]);
  const T* a = reinterpret_cast<const T*>(p[1]);
  const T* b = reinterpret_cast<const T*>(p[2]);
  if (step[1] == size && step[2] == size) return dense<Op, T>(a, b, out, n), true;
  if (step[1] == size && step[2] == 0) return scalar_b<Op, T>(a, *b, out, n), true;
  if (step[1] == 0 && step[2] == size) return scalar_a<Op, T>(*a, b, out, n), true;
  return false;
}

template <typename Op, typename T>
void apply(const Shape& shape, void* out, const Operand& a, const Operand& b) {
  const Shape out_strides = contiguous_strides(shape);
  for_each_run<3>(shape,
                  {static_cast<char*>(out), static_cast<char*>(const_cast<void*>(a.data)),
                   static_cast<char*>(const_cast<void*>(b.data))},
                  {&out_strides, &a.strides, &b.strides}, {sizeof(T), sizeof(T), sizeof(T)},
                  [](auto p, std::int64_t n, auto step) {
                    if constexpr (std::floating_point<T>) {
                      if (fast_run<Op, T>(p, n, step)) return;
                    }
                    using C = Compute<T>;
                    for (; n > 0; --n, p[0] += step[0], p[1] += step[1], p[2] += step[2]) {
                      const auto x = static_cast<C>(*reinterpret_cast<const T*>(p[1]));
                      const auto y = static_cast<C>(*reinterpret_cast<const T*>(p[2]));
                      *reinterpret_cast<T*>(p[0]) = T(Op::template f<C>(x, y));
                    }
                  });
}

template <typename Op>
void dispatch(DType dtype, const Shape& shape, void* out, const Operand& a, const Operand& b) {
  visit_dtype(dtype, [&]<typename T>() {
    if constexpr (!std::is_same_v<T, bool> && (Op::integers || is_floating_point(dtype_of<T>))) {
      apply<Op, T>(shape, out, a, b);
    }
  });
}

}  // namespace

void Binary::cpu(BinaryOp op, DType dtype, const Shape& shape, void* out, const Operand& a,
                 const Operand& b) {
  switch (op) {
    case BinaryOp::add:
      return dispatch<binary::Add>(dtype, shape, out, a, b);
    case BinaryOp::sub:
      return dispatch<binary::Sub>(dtype, shape, out, a, b);
    case BinaryOp::mul:
      return dispatch<binary::Mul>(dtype, shape, out, a, b);
    case BinaryOp::div:
      return dispatch<binary::Div>(dtype, shape, out, a, b);
    case BinaryOp::pow:
      return dispatch<binary::Pow>(dtype, shape, out, a, b);
    case BinaryOp::maximum:
      return dispatch<binary::Maximum>(dtype, shape, out, a, b);
    case BinaryOp::minimum:
      return dispatch<binary::Minimum>(dtype, shape, out, a, b);
    case BinaryOp::relu_grad:
      return dispatch<binary::ReluGrad>(dtype, shape, out, a, b);
    case BinaryOp::gelu_grad:
      return dispatch<binary::GeluGrad>(dtype, shape, out, a, b);
    case BinaryOp::gelu_tanh_grad:
      return dispatch<binary::GeluTanhGrad>(dtype, shape, out, a, b);
    case BinaryOp::silu_grad:
      return dispatch<binary::SiluGrad>(dtype, shape, out, a, b);
    case BinaryOp::tanh_grad:
      return dispatch<binary::TanhGrad>(dtype, shape, out, a, b);
    case BinaryOp::sigmoid_grad:
      return dispatch<binary::SigmoidGrad>(dtype, shape, out, a, b);
  }
}

}  // namespace tutti::kernels
