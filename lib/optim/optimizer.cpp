#include "tutti/optim/optimizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "tutti/autograd/node.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti::optim {
namespace {

void check_parameter(const char* optimizer, const NamedTensor& parameter) {
  const auto& [name, tensor] = parameter;
  if (!tensor.defined() || !tensor.requires_grad()) {
    throw ConfigError(fmt::format("{}: {} does not require a gradient", optimizer, name));
  }
  if (tensor.dtype() != DType::f32 && tensor.dtype() != DType::f64) {
    throw DTypeError(
        fmt::format("{}: parameters are f32 or f64, {} is {}", optimizer, name, name_of(tensor.dtype())));
  }
  if (!tensor.is_contiguous()) throw ConfigError(fmt::format("{}: {} is not contiguous", optimizer, name));
}

// Two optimizers may keep the same about a parameter, as Adam and AdamW do, and are different runs all the same.
Tensor kind_of(std::string_view name) {
  std::vector<std::uint8_t> text(32);
  std::ranges::copy(name.substr(0, text.size()), text.begin());
  return from(text, {32});
}

std::string name_in(const Tensor& kind) {
  const auto text = kind.to_vector<std::uint8_t>();
  return std::string(text.begin(), std::ranges::find(text, std::uint8_t{0}));
}

void check_kind(const char* mine, const NamedTensors& state) {
  const auto kind = std::ranges::find(state, "kind", &NamedTensor::name);
  if (kind == state.end() || kind->tensor.dtype() != DType::u8) return;
  if (const auto theirs = name_in(kind->tensor); theirs != name_in(kind_of(mine))) {
    throw DataError(
        fmt::format("{}: the state is of {}: a run goes on with the optimizer it began with", mine, theirs));
  }
}

}  // namespace

std::size_t Optimizer::checked(std::size_t group) const {
  if (group < rates_.size()) return group;
  throw ConfigError(fmt::format("{}: there is no group {}: it has {}", name_, group, rates_.size()));
}

void Optimizer::add_group(const NamedTensors& parameters, double lr) {
  for (const auto& parameter : parameters) {
    check_parameter(name_, parameter);
    const auto is_same = [&](const Slot& slot) {
      return slot.name == parameter.name || slot.parameter.is_same(parameter.tensor);
    };
    if (std::ranges::any_of(slots_, is_same)) {
      throw ConfigError(fmt::format("{}: {} is given twice", name_, parameter.name));
    }
    Slot slot{parameter.name, parameter.tensor, rates_.size(), zeros({}, {.dtype = DType::i64}), {}};
    for (std::size_t i = 0; i < state_names_.size(); ++i)
      slot.state.push_back(zeros_like(parameter.tensor.detach()));
    for (const auto& state : slot.state) state.storage()->set_category(memory::Category::optimizer);
    slots_.push_back(std::move(slot));
  }
  rates_.push_back(lr);
}

void Optimizer::step() {
  for (auto& slot : slots_) {
    const Tensor grad = slot.parameter.grad();
    if (!grad.defined()) continue;
    auto& step = *slot.step.data<std::int64_t>();
    update(slot, contiguous(grad.detach()), ++step);
    slot.parameter.storage()->bump_version();
    ++slot.parameter.autograd_meta()->updates;
  }
}

void Optimizer::zero_grad(bool set_to_none) {
  for (auto& slot : slots_) {
    Tensor grad = slot.parameter.grad();
    if (!grad.defined()) continue;
    if (set_to_none) {
      slot.parameter.set_grad({});
    } else {
      grad.zero_();
    }
  }
}

void Optimizer::set_lr(double lr) { std::ranges::fill(rates_, lr); }

NamedTensors Optimizer::in_place() const {
  NamedTensors state;
  for (const auto& slot : slots_) {
    state.push_back({"step." + slot.name, slot.step});
    for (std::size_t i = 0; i < state_names_.size(); ++i) {
      state.push_back({state_names_[i] + "." + slot.name, slot.state[i]});
    }
  }
  return state;
}

NamedTensors Optimizer::state_dict() const {
  NamedTensors state = in_place();
  state.push_back({"kind", kind_of(name_)});
  return state;
}

void Optimizer::load_state_dict(const NamedTensors& state, bool strict) {
  check_kind(name_, state);
  copy_by_name((std::string(name_) + "::load_state_dict").c_str(), state_dict(), state, strict);
}

}  // namespace tutti::optim
