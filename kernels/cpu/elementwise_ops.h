// The functions behind UnaryOp and BinaryOp, on one element of a compute type (float, double or an integer).
#pragma once

#include <cmath>
#include <concepts>

#include "kernels/cpu/vector_math.h"
#include "tutti/core/dtype.h"

namespace tutti::kernels {

// What arithmetic on T is done in.
template <typename T>
struct ComputeType {
  using type = T;
};
template <>
struct ComputeType<bfloat16> {
  using type = float;
};
template <>
struct ComputeType<float16> {
  using type = float;
};
template <typename T>
using Compute = typename ComputeType<T>::type;

template <typename T>
TUTTI_INLINE T sigmoid(T x) {
  const T z = vexp_small(-std::fabs(x));
  return (x >= T(0) ? T(1) : z) / (T(1) + z);
}

// d/dx of x * Phi(x) = Phi(x) + x * phi(x). Phi is no product: of a sum of two, a compiler fuses either one with the
// addition, and not the same in a vectorised loop and in its rest.
template <typename T>
TUTTI_INLINE T gelu_slope(T x) {
  const T cdf = T(0.5) + T(0.5) * verf(x * T(0.70710678118654752440));
  return cdf + x * T(0.39894228040143267794) * vexp_small(T(-0.5) * x * x);
}

template <typename T>
TUTTI_INLINE T silu_slope(T x) {
  const T s = sigmoid(x);
  return s * (T(1) + x * (T(1) - s));
}

inline constexpr double gelu_tanh_beta = 0.79788456080286535588;  // sqrt(2 / pi)
inline constexpr double gelu_tanh_kappa = 0.044715;

// (1 + tanh(u)) / 2 is sigmoid(2 u): one exponential, and no cancellation where tanh is near -1.
template <typename T>
TUTTI_INLINE T gelu_tanh_gate(T x) {
  return sigmoid(T(2 * gelu_tanh_beta) * (x + T(gelu_tanh_kappa) * x * x * x));
}

template <typename T>
TUTTI_INLINE T gelu_tanh_slope(T x) {
  const T gate = gelu_tanh_gate(x);
  const T inner = T(2 * gelu_tanh_beta) * (T(1) + T(3 * gelu_tanh_kappa) * x * x);
  return gate + x * (gate * (T(1) - gate)) * inner;  // 0 before anything overflows
}

// Each op is a type with a static `f`; it names, by `integers`, whether it takes integers too.
#define TUTTI_UNARY(op, takes_integers, expression)  \
  struct op {                                        \
    static constexpr bool integers = takes_integers; \
    template <typename T>                            \
    TUTTI_INLINE static T f(T x) {                   \
      return expression;                             \
    }                                                \
  };

namespace unary {
TUTTI_UNARY(Neg, true, T(-x))
TUTTI_UNARY(Abs, true, x < T(0) ? T(-x) : (std::floating_point<T> ? std::fabs(x) : x))
TUTTI_UNARY(Sign, true, T((x > T(0)) - (x < T(0))))
TUTTI_UNARY(Square, true, T(x* x))
TUTTI_UNARY(Exp, false, vexp(x))
TUTTI_UNARY(Log, false, vlog(x))
TUTTI_UNARY(Sqrt, false, std::sqrt(x))
TUTTI_UNARY(Rsqrt, false, T(1) / std::sqrt(x))
TUTTI_UNARY(Reciprocal, false, T(1) / x)
TUTTI_UNARY(Sin, false, std::sin(x))
TUTTI_UNARY(Cos, false, std::cos(x))
TUTTI_UNARY(Tanh, false, vtanh(x))
TUTTI_UNARY(Erf, false, verf(x))
TUTTI_UNARY(Floor, false, std::floor(x))
TUTTI_UNARY(Sigmoid, false, sigmoid(x))
TUTTI_UNARY(Relu, true, x < T(0) ? T(0) : x)  // keeps NaN
TUTTI_UNARY(Gelu, false, T(0.5) * x * (T(1) + verf(x * T(0.70710678118654752440))))
TUTTI_UNARY(GeluTanh, false, x* gelu_tanh_gate(x))
TUTTI_UNARY(Silu, false, x* sigmoid(x))
}  // namespace unary
#undef TUTTI_UNARY

#define TUTTI_BINARY(op, takes_integers, expression) \
  struct op {                                        \
    static constexpr bool integers = takes_integers; \
    template <typename T>                            \
    TUTTI_INLINE static T f(T a, T b) {              \
      return expression;                             \
    }                                                \
  };

namespace binary {
TUTTI_BINARY(Add, true, T(a + b))
TUTTI_BINARY(Sub, true, T(a - b))
TUTTI_BINARY(Mul, true, T(a* b))
TUTTI_BINARY(Div, false, a / b)
TUTTI_BINARY(Pow, false, std::pow(a, b))
TUTTI_BINARY(Maximum, true, a > b || a != a ? a : b)
TUTTI_BINARY(Minimum, true, a < b || a != a ? a : b)
TUTTI_BINARY(ReluGrad, false, b > T(0) ? a : T(0))
TUTTI_BINARY(GeluGrad, false, a* gelu_slope(b))
TUTTI_BINARY(GeluTanhGrad, false, a* gelu_tanh_slope(b))
TUTTI_BINARY(SiluGrad, false, a* silu_slope(b))
TUTTI_BINARY(TanhGrad, false, a*(T(1) - b * b))
TUTTI_BINARY(SigmoidGrad, false, a* b*(T(1) - b))
}  // namespace binary
#undef TUTTI_BINARY

}  // namespace tutti::kernels
