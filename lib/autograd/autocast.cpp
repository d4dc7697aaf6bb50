#include "tutti/autograd/autocast.h"

#include "autograd/mixed.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

thread_local std::optional<DType> mode;

}  // namespace

std::optional<DType> autocast_dtype() { return mode; }

Autocast::Autocast(std::optional<DType> dtype) : before_(mode) {
  if (dtype && !(is_floating_point(*dtype) && size_of(*dtype) == 2)) {
    throw DTypeError("Autocast: products are made in bf16 or f16, not in " + std::string(name_of(*dtype)));
  }
  mode = dtype;
}

Autocast::~Autocast() { mode = before_; }

namespace autograd {

std::optional<DType> product_dtype(std::initializer_list<const Tensor*> operands) {
  if (!mode) return {};
  bool differs = false;
  for (const Tensor* x : operands) {
    if (!x->defined()) continue;
    if (!is_floating_point(x->dtype()) || x->dtype() == DType::f64) return {};
    differs = differs || x->dtype() != *mode;
  }
  return differs ? mode : std::nullopt;
}

Tensor converted(const Tensor& x, DType dtype) { return x.defined() ? to(x, dtype) : x; }

bool is_mixed(const Tensor& a, const Tensor& b) {
  const auto is_narrow = [](DType dtype) { return is_floating_point(dtype) && size_of(dtype) == 2; };
  return mode && a.dtype() != b.dtype() && (a.dtype() == DType::f32 || is_narrow(a.dtype())) &&
         (b.dtype() == DType::f32 || is_narrow(b.dtype()));
}

}  // namespace autograd
}  // namespace tutti
