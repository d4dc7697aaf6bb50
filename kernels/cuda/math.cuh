// The functions behind UnaryOp and BinaryOp on one element, as kernels/cpu/elementwise_ops.h has them for the
// CPU. Where operands lie densely, the operation is a constant: choosing for each element would take longer than memory does.
#pragma once

#include <type_traits>

#include "kernels/cuda/pack.cuh"
#include "kernels/elementwise.h"

namespace tutti::kernels {

template <typename T>
__device__ bool is_negative(T x) {
  if constexpr (std::is_unsigned_v<T>) {
    return false;
  } else {
    return x < T(0);
  }
}

// What has 16 bits in memory is computed as exactly as that can tell.
template <typename T>
inline constexpr bool is_narrow = sizeof(T) == 2;
// Whether an operation on T has kernels of its own.
template <typename T>
inline constexpr bool is_fast = is_narrow<T> || std::is_same_v<T, float>;

template <bool narrow, typename T>
__device__ T gpu_exp(T x) {
#if defined(__CUDA_ARCH__)
  if constexpr (narrow) return __expf(x);
#endif
  return exp(x);
}

template <bool narrow, typename T>
__device__ T gpu_reciprocal(T x) {
#if defined(__CUDA_ARCH__)
  if constexpr (narrow)
    return __fdividef(1.0f, x);  // 0 beyond 2^126, where the result has no place in 16 bits
#endif
  return T(1) / x;
}

template <bool narrow, typename T>
__device__ T gpu_sigmoid(T x) {
  return gpu_reciprocal<narrow>(T(1) + gpu_exp<narrow>(-x));
}

template <bool narrow, typename T>
__device__ T gpu_tanh(T x) {
  // Near 0 the difference would have no digits left.
  if constexpr (narrow)
    return fabs(x) < T(0.1) ? x - x * x * x / T(3) : T(2) * gpu_sigmoid<narrow>(T(2) * x) - T(1);
  return tanh(x);
}

// The normal distribution's probability below x. M. Abramowitz and I. A. Stegun 1964, 7.1.26, within 1.5e-7, for 16 bits.
template <bool narrow, typename T>
__device__ T normal_cdf(T x) {
  if constexpr (narrow) {
    const T z = fabs(x) * T(0.70710678118654752440), t = gpu_reciprocal<true>(T(1) + T(0.3275911) * z);
    const T series =
        t * (T(0.254829592) +
             t * (T(-0.284496736) + t * (T(1.421413741) + t * (T(-1.453152027) + t * T(1.061405429)))));
    const T beyond = T(0.5) * series * gpu_exp<true>(-z * z);
    return x > T(0) ? T(1) - beyond : beyond;
  } else {
    return T(0.5) * (T(1) + erf(x * T(0.70710678118654752440)));
  }
}

// (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 is a sigmoid.
template <bool narrow, typename T>
__device__ T gelu_tanh_factor(T x) {
  return gpu_sigmoid<narrow>(T(2 * 0.79788456080286535588) * (x + T(0.044715) * x * x * x));
}

template <bool narrow, typename T>
__device__ T gelu_tanh_slope(T x) {
  const T s = gelu_tanh_factor<narrow>(x);
  return s + s * (T(1) - s) * x * T(2 * 0.79788456080286535588) * (T(1) + T(3 * 0.044715) * x * x);
}

template <bool narrow, typename T>
__device__ T apply(UnaryOp op, T x) {
  if constexpr (std::is_same_v<T, bool>) {
    return !x;
  } else {
    switch (op) {
      case UnaryOp::neg:
        return T(-x);
      case UnaryOp::sign:
        return T((x > T(0)) - is_negative(x));
      case UnaryOp::square:
        return T(x * x);
      case UnaryOp::relu:
        return is_negative(x) ? T(0) : x;  // keeps NaN
      default:
        break;
    }
    if constexpr (std::is_floating_point_v<T>) {
      switch (op) {
        case UnaryOp::abs:
          return fabs(x);
        case UnaryOp::exp:
          return gpu_exp<narrow>(x);
        case UnaryOp::log:
          return log(x);
        case UnaryOp::sqrt:
          return sqrt(x);
        case UnaryOp::rsqrt:
          return T(1) / sqrt(x);
        case UnaryOp::reciprocal:
          return T(1) / x;
        case UnaryOp::sin:
          return sin(x);
        case UnaryOp::cos:
          return cos(x);
        case UnaryOp::tanh:
          return gpu_tanh<narrow>(x);
        case UnaryOp::erf:
          return erf(x);
        case UnaryOp::floor:
          return floor(x);
        case UnaryOp::sigmoid:
          return gpu_sigmoid<narrow>(x);
        case UnaryOp::gelu:
          return x * normal_cdf<narrow>(x);
        case UnaryOp::gelu_tanh:
          return x * gelu_tanh_factor<narrow>(x);
        case UnaryOp::silu:
          return x * gpu_sigmoid<narrow>(x);
        default:
          break;
      }
    } else if (op == UnaryOp::abs) {
      return is_negative(x) ? T(-x) : x;
    }
    return x;
  }
}

template <bool narrow, typename T>
__device__ T apply(BinaryOp op, T a, T b) {
  switch (op) {
    case BinaryOp::add:
      return T(a + b);
    case BinaryOp::sub:
      return T(a - b);
    case BinaryOp::mul:
      return T(a * b);
    case BinaryOp::maximum:
      return a > b || a != a ? a : b;  // keeps NaN
    case BinaryOp::minimum:
      return a < b || a != a ? a : b;
    default:
      break;
  }
  if constexpr (std::is_floating_point_v<T>) {
    switch (op) {
      case BinaryOp::div:
        return a / b;
      case BinaryOp::pow:
        return pow(a, b);
      case BinaryOp::relu_grad:
        return b > T(0) ? a : T(0);
      case BinaryOp::gelu_grad:
        return a * (normal_cdf<narrow>(b) + b * T(0.39894228040143267794) * gpu_exp<narrow>(T(-0.5) * b * b));
      case BinaryOp::gelu_tanh_grad:
        return a * gelu_tanh_slope<narrow>(b);
      case BinaryOp::silu_grad: {
        const T s = gpu_sigmoid<narrow>(b);
        return a * s * (T(1) + b * (T(1) - s));
      }
      case BinaryOp::tanh_grad:
        return a * (T(1) - b * b);
      case BinaryOp::sigmoid_grad:
        return a * b * (T(1) - b);
      default:
        break;
    }
  }
  return a;
}

// f(constant of op), which is one of `first` to `last`; by default of the operations on floating-point numbers.
template <UnaryOp first = UnaryOp::neg, UnaryOp last = UnaryOp::silu, typename F>
void with_constant(UnaryOp op, F f) {
  if (op == first) return f(std::integral_constant<UnaryOp, first>());
  if constexpr (first != last) with_constant<static_cast<UnaryOp>(static_cast<int>(first) + 1), last>(op, f);
}
template <BinaryOp first = BinaryOp::add, BinaryOp last = BinaryOp::sigmoid_grad, typename F>
void with_constant(BinaryOp op, F f) {
  if (op == first) return f(std::integral_constant<BinaryOp, first>());
  if constexpr (first != last) with_constant<static_cast<BinaryOp>(static_cast<int>(first) + 1), last>(op, f);
}

}  // namespace tutti::kernels
