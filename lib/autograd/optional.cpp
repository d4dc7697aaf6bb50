#include "autograd/optional.h"

#include <fmt/format.h>

#include <bit>
#include <cstdint>

#include "tensor/checks.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"

namespace tutti::autograd {

Tensor dense(const Tensor& x) { return x.defined() ? aligned(contiguous(x.detach())) : x; }

Tensor aligned(const Tensor& x) {
  const bool is_aligned = x.device().is_cpu() || std::bit_cast<std::uintptr_t>(x.raw_data()) % 16 == 0;
  return is_aligned ? x : x.clone();
}

Tensor widened(const Tensor& x) { return x.defined() && size_of(x.dtype()) == 2 ? to(x, DType::f32) : x; }

bool is_widened(const Tensor& x) { return x.device().is_cpu() && size_of(x.dtype()) == 2; }

void* address(const Tensor& x) { return x.defined() ? x.raw_data() : nullptr; }

void check_parameter(const char* op, const char* which, const Tensor& x, std::int64_t size,
                     const Tensor& parameter) {
  if (!parameter.defined()) return;
  // Beside 16 bits, f32 as well: it loses nothing, and a parameter in f32 is trained in f32.
  const bool is_wider = size_of(x.dtype()) == 2 && parameter.dtype() == DType::f32;
  is_wider ? check_same_device(op, x, parameter) : check_alike(op, x, parameter);
  if (parameter.shape() != Shape{size}) {
    throw ShapeError(fmt::format("{}: for x {} the {} must be [{}], it is {}", op, x.shape().str(), which,
                                 size, parameter.shape().str()));
  }
}

}  // namespace tutti::autograd
