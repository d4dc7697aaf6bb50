// The functions behind UnaryOp and BinaryOp on one element, as kernels/cpu/elementwise_ops.h has them for the
// CPU. The operation is chosen at run time: all threads take the same way, memory is the bound, and one
// kernel a dtype keeps the library small.
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

template <typename T>
__device__ T gpu_sigmoid(T x) {
  return T(1) / (T(1) + exp(-x));
}

// The normal distribution's probability below x.
template <typename T>
__device__ T normal_cdf(T x) {
  return T(0.5) * (T(1) + erf(x * T(0.70710678118654752440)));
}

// tanh(sqrt(2 / pi) * (x + 0.044715 x^3))
template <typename T>
__device__ T gelu_tanh_term(T x) {
  return tanh(T(0.79788456080286535588) * (x + T(0.044715) * x * x * x));
}

template <typename T>
__device__ T gelu_tanh_slope(T x) {
  const T t = gelu_tanh_term(x);
  const T inner = T(0.79788456080286535588) * (T(1) + T(3 * 0.044715) * x * x);
  return T(0.5) * (T(1) + t) + T(0.5) * x * (T(1) - t * t) * inner;
}

template <typename T>
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
          return exp(x);
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
          return tanh(x);
        case UnaryOp::erf:
          return erf(x);
        case UnaryOp::floor:
          return floor(x);
        case UnaryOp::sigmoid:
          return gpu_sigmoid(x);
        case UnaryOp::gelu:
          return x * normal_cdf(x);
        case UnaryOp::gelu_tanh:
          return T(0.5) * x * (T(1) + gelu_tanh_term(x));
        case UnaryOp::silu:
          return x * gpu_sigmoid(x);
        default:
          break;
      }
    } else if (op == UnaryOp::abs) {
      return is_negative(x) ? T(-x) : x;
    }
    return x;
  }
}

template <typename T>
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
        return a * (normal_cdf(b) + b * T(0.39894228040143267794) * exp(T(-0.5) * b * b));
      case BinaryOp::gelu_tanh_grad:
        return a * gelu_tanh_slope(b);
      case BinaryOp::silu_grad: {
        const T s = gpu_sigmoid(b);
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

}  // namespace tutti::kernels
