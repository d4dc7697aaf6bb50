#include "tutti/nn/module.h"

#include <algorithm>
#include <deque>

#include "nn/walk.h"
#include "tutti/core/error.h"

namespace tutti::nn {
namespace {

// `visit` hands out members to be changed, so it is not const; the walks of the const functions change none.
Module& unlocked(const Module& module) { return const_cast<Module&>(module); }

// Replaces every parameter and buffer; one that has several names stays one tensor.
template <typename F>
void convert(Module& module, F&& converted) {
  std::vector<std::pair<Tensor, Tensor>> done;
  const auto replace = [&](const std::string&, Tensor& tensor) {
    const auto known =
        std::ranges::find_if(done, [&](const auto& pair) { return pair.first.is_same(tensor); });
    if (known != done.end()) {
      tensor = known->second;
      return;
    }
    const Tensor before = tensor;
    tensor = converted(before.detach());
    if (before.requires_grad()) tensor.set_requires_grad();
    done.emplace_back(before, tensor);
  };
  Walk{.parameter = replace, .buffer = replace, .generator = {}, .module = {}}(module);
}

}  // namespace

struct Module::Hooks {
  // A hook may register another one while it runs, which then runs too: a deque moves none.
  std::deque<std::function<void(const Tensor&)>> before;
  std::deque<std::function<Tensor(const Tensor&, const Tensor&)>> after;
};

void Module::register_forward_pre_hook(std::function<void(const Tensor& x)> hook) {
  if (!hooks_) hooks_ = std::make_shared<Hooks>();
  hooks_->before.push_back(std::move(hook));
}

void Module::register_forward_hook(std::function<Tensor(const Tensor& x, const Tensor& y)> hook) {
  if (!hooks_) hooks_ = std::make_shared<Hooks>();
  hooks_->after.push_back(std::move(hook));
}

Tensor Module::call_with_hooks(const Tensor& x) {
  const auto hooks = hooks_;
  for (std::size_t i = 0; i < hooks->before.size(); ++i) hooks->before[i](x);
  Tensor y = forward(x);
  for (std::size_t i = 0; i < hooks->after.size(); ++i) y = hooks->after[i](x, y);
  return y;
}

Tensor Module::forward(const Tensor&) {
  throw Error("forward: this module does not take one tensor; call it by functions of its own");
}

void Module::visit(MemberVisitor&) {}

NamedTensors Module::parameters() const {
  NamedTensors result;
  Walk{.parameter =
           [&](const std::string& name, Tensor& tensor) {
             const auto is_tied = [&](const NamedTensor& other) { return other.tensor.is_same(tensor); };
             if (std::ranges::none_of(result, is_tied)) result.push_back({name, tensor});
           },
       .buffer = {},
       .generator = {},
       .module = {}}(unlocked(*this));
  return result;
}

NamedTensors Module::state_dict() const {
  NamedTensors result;
  const auto add = [&](const std::string& name, Tensor& tensor) {
    result.push_back({name, tensor.detach()});
  };
  Walk{.parameter = add, .buffer = add, .generator = {}, .module = {}}(unlocked(*this));
  return result;
}

NamedGenerators Module::generators() const {
  NamedGenerators result;
  Walk{.parameter = {},
       .buffer = {},
       .generator =
           [&](const std::string& name, Generator& generator) {
             result.push_back({name, generator});
           },
       .module = {}}(unlocked(*this));
  return result;
}

std::int64_t Module::parameter_count() const {
  std::int64_t count = 0;
  for (const auto& [name, tensor] : parameters()) count += tensor.numel();
  return count;
}

Module& Module::train(bool on) {
  Walk{.parameter = {}, .buffer = {}, .generator = {}, .module = [on](Module& module) {
         module.training_ = on;
       }}(*this);
  return *this;
}

void Module::zero_grad() {
  for (const auto& [name, tensor] : parameters()) {
    if (Tensor grad = tensor.grad(); grad.defined()) grad.zero_();
  }
}

Module& Module::to(Device device) {
  convert(*this, [device](const Tensor& x) { return x.to(device); });
  return *this;
}

Module& Module::to(DType dtype) {
  if (!is_floating_point(dtype)) {
    throw DTypeError("to: a module's parameters are floating point, not " + std::string(name_of(dtype)));
  }
  convert(*this, [dtype](const Tensor& x) { return is_floating_point(x.dtype()) ? x.to(dtype) : x; });
  return *this;
}

}  // namespace tutti::nn
