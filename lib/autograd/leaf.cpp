// The gradient side of Tensor's interface.
#include <fmt/format.h>

#include "tutti/autograd/node.h"
#include "tutti/core/error.h"

namespace tutti {
namespace {

autograd::Meta& meta_of(const Tensor& tensor) {
  if (!tensor.autograd_meta()) tensor.set_autograd_meta(std::make_shared<autograd::Meta>());
  return *tensor.autograd_meta();
}

}  // namespace

bool Tensor::requires_grad() const { return autograd_meta() && autograd_meta()->requires_grad; }

Tensor& Tensor::set_requires_grad(bool requires_grad) {
  if (autograd_meta() && autograd_meta()->node) {
    throw AutogradError("set_requires_grad: only a leaf can be told; this tensor is the result of '" +
                        std::string(autograd_meta()->node->name) + "'; take detach()");
  }
  if (requires_grad && !is_floating_point(dtype())) {
    throw DTypeError(
        fmt::format("set_requires_grad: only floating point has gradients, this is {}", name_of(dtype())));
  }
  meta_of(*this).requires_grad = requires_grad;
  if (requires_grad) storage()->set_category(memory::Category::parameters);
  return *this;
}

Tensor Tensor::grad() const { return autograd_meta() ? autograd_meta()->grad : Tensor(); }

void Tensor::set_grad(const Tensor& grad) {
  if (grad.defined() && (grad.shape() != shape() || grad.dtype() != dtype())) {
    throw ShapeError(fmt::format("set_grad: a gradient {} {} does not fit the tensor {} {}",
                                 name_of(grad.dtype()), grad.shape().str(), name_of(dtype()), shape().str()));
  }
  auto& meta = meta_of(*this);
  meta.grad = grad;
  if (grad.defined()) grad.storage()->set_category(memory::Category::gradients);
  meta.grad_is_stale = false;
}

void Tensor::register_grad_hook(std::function<void(Tensor& leaf)> hook) {
  if (!requires_grad() || autograd_meta()->node) {
    throw AutogradError("register_grad_hook: only a leaf that requires a gradient can have a hook");
  }
  autograd_meta()->hooks.push_back(std::move(hook));
}

}  // namespace tutti
