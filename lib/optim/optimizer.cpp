#include "tutti/optim/optimizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "tutti/autograd/arithmetic.h"
#include "tutti/autograd/grad_mode.h"
#include "tutti/autograd/node.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/cuda_graph.h"
#include "tutti/core/error.h"
#include "tutti/tensor/creation.h"

namespace tutti::optim {
namespace {

void check_parameter(const char* optimizer, const NamedTensor& parameter) {
  const auto& [name, tensor] = parameter;
  if (!tensor.defined() || !tensor.requires_grad()) {
    throw ConfigError(fmt::format("{}: {} does not require a gradient", optimizer, name));
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
    Slot slot{parameter.name, parameter.tensor, rates_.size(), zeros({}, {DType::i64, Device::cpu()}), {}};
    const Tensor p = parameter.tensor.detach();
    const bool is_rounded = size_of(p.dtype()) == 2;
    const DType kept = is_rounded ? DType::f32 : p.dtype();
    if (is_rounded) {
      slot.master = p.to(kept);
      slot.master.storage()->set_category(memory::Category::optimizer);
    }
    for (std::size_t i = 0; i < moments_; ++i) slot.state.push_back(zeros(p.shape(), {kept, p.device()}));
    for (const auto& state : slot.state) state.storage()->set_category(memory::Category::optimizer);
    if (is_rounded && state_names_.size() == moments_) state_names_.emplace_back("master");
    slots_.push_back(std::move(slot));
  }
  rates_.push_back(lr);
}

// Where the elements are not what the master was rounded to, they are what others have put there. Elsewhere the master has
// more digits, as after a checkpoint that both came from.
void Optimizer::follow_parameters() {
  NoGrad no_grad;
  for (auto& slot : slots_) {
    if (!slot.master.defined() || slot.version == slot.parameter.storage()->version()) continue;
    const Tensor p = slot.parameter.detach();
    slot.master.copy_(where(eq(slot.master.to(p.dtype()), p), slot.master, p.to(DType::f32)));
  }
}

void Optimizer::step() {
  follow_parameters();
  if (cuda::is_capturing())
    cuda::each_replay([this] { follow_parameters(); });  // what others changed meanwhile
  std::vector<Slot*> changed;
  std::vector<std::pair<Device, std::vector<Update>>> updates;
  for (auto& slot : slots_) {
    const Tensor grad = slot.parameter.grad();
    if (!grad.defined()) continue;
    const Device device = slot.parameter.device();
    auto at = std::ranges::find(updates, device, &std::pair<Device, std::vector<Update>>::first);
    if (at == updates.end()) at = updates.insert(at, {device, {}});
    at->second.push_back({slot, contiguous(grad.detach())});
    changed.push_back(&slot);
  }
  const auto count = [changed] {
    for (Slot* slot : changed) ++*slot->step.data<std::int64_t>();
  };
  const auto tell = [this, changed] {
    for (Slot* slot : changed) {
      slot->parameter.storage()->bump_version();
      ++slot->parameter.autograd_meta()->updates;
    }
    for (auto& slot : slots_) slot.version = slot.parameter.storage()->version();
  };
  const bool captured = cuda::is_capturing();
  captured ? cuda::each_replay(count) : count();
  for (const auto& [device, of_device] : updates) update(device, of_device);
  captured ? cuda::each_replay(tell) : tell();
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
    for (std::size_t i = 0; i < moments_; ++i)
      state.push_back({state_names_[i] + "." + slot.name, slot.state[i]});
    if (slot.master.defined()) state.push_back({"master." + slot.name, slot.master});
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
  loaded();
}

void Optimizer::loaded() {
  for (auto& slot : slots_) slot.version.reset();
}

}  // namespace tutti::optim
