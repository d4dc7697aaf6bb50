// Elementwise arithmetic. `shape` is the shape of the result; an operand's strides are in elements and 0
// along a dimension that it is broadcast over. Results are contiguous unless they have strides of their own.
#pragma once

#include <cstdint>

#include "kernels/launch.h"
#include "tutti/core/dtype.h"
#include "tutti/core/shape.h"

namespace tutti::kernels {

struct Operand {
  const void* data;
  Shape strides;
};

struct MutableOperand {
  void* data;
  Shape strides;
};

enum class UnaryOp : std::uint8_t {
  neg,
  abs,
  sign,
  square,
  exp,
  log,
  sqrt,
  rsqrt,
  reciprocal,
  sin,
  cos,
  tanh,
  erf,
  floor,
  sigmoid,
  relu,
  gelu,
  gelu_tanh,
  silu,
  logical_not
};

// Beside arithmetic, the gradients that are worth one pass: op(g, x) or op(g, y), as named.
enum class BinaryOp : std::uint8_t {
  add,
  sub,
  mul,
  div,
  pow,
  maximum,
  minimum,
  relu_grad,       // g, x: g where x > 0
  gelu_grad,       // g, x
  gelu_tanh_grad,  // g, x
  silu_grad,       // g, x
  tanh_grad,       // g, y: g * (1 - y * y)
  sigmoid_grad     // g, y: g * y * (1 - y)
};

enum class CompareOp : std::uint8_t { eq, ne, lt, le, gt, ge };

// out = op(x). bf16 and f16 are computed in f32. Integers: neg, abs, sign, square, relu; bool: logical_not.
struct Unary {
  static constexpr const char* name = "unary";
  static void cpu(UnaryOp op, DType dtype, const Shape& shape, void* out, const Operand& x);
  static void cuda(UnaryOp op, DType dtype, const Shape& shape, void* out, const Operand& x);
};

// out = op(a, b). Integers: add, sub, mul, maximum, minimum.
struct Binary {
  static constexpr const char* name = "binary";
  static void cpu(BinaryOp op, DType dtype, const Shape& shape, void* out, const Operand& a,
                  const Operand& b);
  static void cuda(BinaryOp op, DType dtype, const Shape& shape, void* out, const Operand& a,
                   const Operand& b);
};

// bool out = op(a, b), for a and b of `dtype`.
struct Compare {
  static constexpr const char* name = "compare";
  static void cpu(CompareOp op, DType dtype, const Shape& shape, void* out, const Operand& a,
                  const Operand& b);
  static void cuda(CompareOp op, DType dtype, const Shape& shape, void* out, const Operand& a,
                   const Operand& b);
};

// out = condition ? a : b, for bool `condition`, elements of any dtype with `element_size` bytes.
struct Where {
  static constexpr const char* name = "where";
  static void cpu(std::size_t element_size, const Shape& shape, void* out, const Operand& condition,
                  const Operand& a, const Operand& b);
  static void cuda(std::size_t element_size, const Shape& shape, void* out, const Operand& condition,
                   const Operand& a, const Operand& b);
};

// out = value, converted to `dtype`.
struct Fill {
  static constexpr const char* name = "fill";
  static void cpu(DType dtype, const Shape& shape, const MutableOperand& out, double value);
  static void cuda(DType dtype, const Shape& shape, const MutableOperand& out, double value);
};

// out[i] = start + i * step, of `count` elements, computed in f64.
struct Arange {
  static constexpr const char* name = "arange";
  static void cpu(DType dtype, void* out, std::int64_t count, double start, double step);
  static void cuda(DType dtype, void* out, std::int64_t count, double start, double step);
};

// out = x, converted from `from` to `to`; to bool: whether it is not 0.
struct Copy {
  static constexpr const char* name = "copy";
  static void cpu(const Shape& shape, DType to, const MutableOperand& out, DType from, const Operand& x);
  static void cuda(const Shape& shape, DType to, const MutableOperand& out, DType from, const Operand& x);
};

// out = beta * out + alpha * x, any strides; with beta 0 `out` is not read.
struct AddScaled {
  static constexpr const char* name = "add_scaled";
  static void cpu(DType dtype, const Shape& shape, const MutableOperand& out, const Operand& x, double alpha,
                  double beta);
  static void cuda(DType dtype, const Shape& shape, const MutableOperand& out, const Operand& x, double alpha,
                   double beta);
};

}  // namespace tutti::kernels
