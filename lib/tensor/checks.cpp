#include "tensor/checks.h"

#include <fmt/format.h>

#include <cmath>

#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti {

void check_same_device(const char* op, const Tensor& a, const Tensor& b) {
  if (a.device() == b.device()) return;
  throw DeviceError(fmt::format("{}: operands are on different devices: {} and {}", op, a.device().str(),
                                b.device().str()));
}

void check_alike(const char* op, const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype()) {
    throw DTypeError(fmt::format("{}: operands have different dtypes: {} and {}; convert one with to(dtype)",
                                 op, name_of(a.dtype()), name_of(b.dtype())));
  }
  check_same_device(op, a, b);
}

void check_floating_point(const char* op, const Tensor& x) {
  if (is_floating_point(x.dtype())) return;
  throw DTypeError(fmt::format("{}: floating point is needed, got {}", op, name_of(x.dtype())));
}

Tensor scalar(const char* op, const Tensor& like, double value) {
  if (!is_floating_point(like.dtype()) && (value != std::trunc(value) || std::isinf(value))) {
    throw DTypeError(
        fmt::format("{}: {} is no {}; convert the tensor with to(dtype)", op, value, name_of(like.dtype())));
  }
  return full({}, value, {like.dtype(), like.device()});
}

Shape broadcast_strides(const Tensor& x, const Shape& shape) {
  Shape strides = Shape::filled(shape.rank(), 0);
  const int shift = shape.rank() - x.rank();
  for (int i = 0; i < x.rank(); ++i) {
    if (x.shape()[i] != 1 || shape[shift + i] == 1) strides[shift + i] = x.strides()[i];
  }
  return strides;
}

}  // namespace tutti
