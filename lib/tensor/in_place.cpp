// Changes in place. Each moves the storage's version on, so that the tape sees what it saved is gone.
#include <fmt/format.h>

#include <cmath>

#include "kernels/memory.h"
#include "tensor/checks.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

void check_broadcasts(const char* op, const Tensor& from, const Tensor& to) {
  if (broadcast_shapes(op, from.shape(), to.shape()) == to.shape()) return;
  throw ShapeError(fmt::format("{}: {} does not broadcast to {}", op, from.shape().str(), to.shape().str()));
}

void check_number(const char* op, const Tensor& x) {
  if (x.dtype() == DType::bool_)
    throw DTypeError(fmt::format("{}: not defined for bool; convert with to(dtype)", op));
}

}  // namespace

Tensor& Tensor::fill_(double value) {
  storage()->bump_version();
  if (value == 0 && !std::signbit(value) && is_contiguous()) {
    kernels::launch<kernels::SetZero>(device(), raw_data(),
                                      static_cast<std::size_t>(numel()) * size_of(dtype()));
  } else {
    kernels::launch<kernels::Fill>(device(), dtype(), shape(), mutable_operand(*this), value);
  }
  return *this;
}

Tensor& Tensor::zero_() { return fill_(0); }

Tensor& Tensor::copy_(const Tensor& source) {
  check_broadcasts("copy_", source, *this);
  storage()->bump_version();
  if (source.device() != device()) {
    // Across devices only dense bytes travel: make them dense, of the right type, where they are.
    Tensor sent(
        Storage::allocate(static_cast<std::size_t>(source.numel()) * size_of(dtype()), source.device()),
        dtype(), source.shape(), contiguous_strides(source.shape()));
    sent.copy_(source);
    Tensor received(Storage::allocate(sent.storage()->bytes(), device()), dtype(), sent.shape(),
                    sent.strides());
    kernels::copy_bytes(received.raw_data(), device(), sent.raw_data(), sent.device(),
                        sent.storage()->bytes());
    return copy_(received);
  }
  if (source.dtype() == dtype() && source.is_contiguous() && is_contiguous() && source.shape() == shape()) {
    kernels::copy_bytes(raw_data(), device(), source.raw_data(), device(),
                        static_cast<std::size_t>(numel()) * size_of(dtype()));
  } else {
    kernels::launch<kernels::Copy>(device(), shape(), dtype(), mutable_operand(*this), source.dtype(),
                                   operand(source, shape()));
  }
  return *this;
}

Tensor& Tensor::add_(const Tensor& other, double alpha) {
  check_number("add_", *this);
  check_alike("add_", *this, other);
  check_broadcasts("add_", other, *this);
  storage()->bump_version();
  kernels::launch<kernels::AddScaled>(device(), dtype(), shape(), mutable_operand(*this),
                                      operand(other, shape()), alpha, 1.0);
  return *this;
}

Tensor& Tensor::mul_(double factor) {
  check_number("mul_", *this);
  storage()->bump_version();
  kernels::launch<kernels::AddScaled>(device(), dtype(), shape(), mutable_operand(*this),
                                      operand(*this, shape()), factor, 0.0);
  return *this;
}

}  // namespace tutti
