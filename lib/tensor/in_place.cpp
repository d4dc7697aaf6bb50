// Changes in place. Each moves the storage's version on, so that the tape sees what it saved is gone.
#include <fmt/format.h>

#include <cmath>
#include <cstddef>
#include <utility>

#include "kernels/memory.h"
#include "tensor/checks.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

void check_broadcasts(const char* op, const Tensor& from, const Tensor& to) {
  if (broadcast_shapes(op, from.shape(), to.shape()) == to.shape()) return;
  throw ShapeError(fmt::format("{}: {} does not broadcast to {}", op, from.shape().str(), to.shape().str()));
}

// The threads write elements at once, so each has a place of its own.
void check_no_overlap(const char* op, const Tensor& to) {
  for (int d = 0; d < to.rank(); ++d) {
    if (to.strides()[d] != 0 || to.shape()[d] < 2 || to.numel() == 0) continue;
    throw ShapeError(
        fmt::format("{}: several elements of {} with strides {} are one in memory; clone() first", op,
                    to.shape().str(), to.strides().str()));
  }
}

// From the first byte of a tensor to behind the last.
std::pair<const std::byte*, const std::byte*> extent(const Tensor& x) {
  const auto* first = static_cast<const std::byte*>(x.raw_data());
  std::int64_t last = 0;
  for (int d = 0; d < x.rank(); ++d) last += (x.shape()[d] - 1) * x.strides()[d];
  return {first, first + static_cast<std::size_t>(last + 1) * size_of(x.dtype())};
}

// `source`, or a copy of it where writing to `to` would change elements before they are read.
Tensor unchanged_by(const Tensor& to, const Tensor& source) {
  if (source.storage() != to.storage() || to.numel() == 0 || source.numel() == 0) return source;
  if (source.raw_data() == to.raw_data() && source.dtype() == to.dtype() && source.shape() == to.shape() &&
      source.strides() == to.strides()) {
    return source;
  }
  const auto [begin, end] = extent(to);
  const auto [first, last] = extent(source);
  return first < end && begin < last ? source.detach().clone() : source;
}

void check_number(const char* op, const Tensor& x) {
  if (x.dtype() == DType::bool_)
    throw DTypeError(fmt::format("{}: not defined for bool; convert with to(dtype)", op));
}

}  // namespace

Tensor& Tensor::fill_(double value) {
  check_no_overlap("fill_", *this);
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

Tensor& Tensor::copy_(const Tensor& given) {
  check_broadcasts("copy_", given, *this);
  check_no_overlap("copy_", *this);
  const Tensor source = unchanged_by(*this, given);
  storage()->bump_version();
  if (source.device() != device()) {
    // Across devices only dense bytes travel: where they are not, they become so on either side.
    const auto bytes = static_cast<std::size_t>(source.numel()) * size_of(dtype());
    const auto dense = [&](Device where) {
      return Tensor(Storage::allocate(bytes, where), dtype(), source.shape(),
                    contiguous_strides(source.shape()));
    };
    Tensor sent = source;
    if (source.dtype() != dtype() || !source.is_contiguous()) {
      sent = dense(source.device());
      sent.copy_(source);
    }
    if (is_contiguous() && source.shape() == shape()) {
      kernels::copy_bytes(raw_data(), device(), sent.raw_data(), sent.device(), bytes);
      return *this;
    }
    const Tensor received = dense(device());
    kernels::copy_bytes(received.raw_data(), device(), sent.raw_data(), sent.device(), bytes);
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

Tensor& Tensor::add_(const Tensor& given, double alpha) {
  check_number("add_", *this);
  check_alike("add_", *this, given);
  check_broadcasts("add_", given, *this);
  check_no_overlap("add_", *this);
  const Tensor other = unchanged_by(*this, given);
  storage()->bump_version();
  kernels::launch<kernels::AddScaled>(device(), dtype(), shape(), mutable_operand(*this),
                                      operand(other, shape()), alpha, 1.0);
  return *this;
}

Tensor& Tensor::mul_(double factor) {
  check_number("mul_", *this);
  check_no_overlap("mul_", *this);
  storage()->bump_version();
  kernels::launch<kernels::AddScaled>(device(), dtype(), shape(), mutable_operand(*this),
                                      operand(*this, shape()), factor, 0.0);
  return *this;
}

}  // namespace tutti
