#include "tutti/optim/sgd.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <vector>

#include "kernels/optim.h"
#include "optim/scalars.h"
#include "tutti/core/error.h"

namespace tutti::optim {
namespace {

using Groups = std::vector<ParameterGroup<SGDOptions>>;

void check(const SGDOptions& o) {
  if (!(o.lr >= 0 && o.momentum >= 0 && o.weight_decay >= 0)) {
    throw ConfigError(fmt::format("SGD: lr, momentum and weight_decay are not negative, got {}, {}, {}", o.lr,
                                  o.momentum, o.weight_decay));
  }
  if (o.nesterov && (o.momentum == 0 || o.dampening != 0)) {
    throw ConfigError("SGD: Nesterov's needs momentum and no dampening");
  }
}

std::vector<std::string> kept_by(const Groups& groups) {
  const bool momentum =
      std::ranges::any_of(groups, [](const auto& group) { return group.options.momentum != 0; });
  return momentum ? std::vector<std::string>{"momentum_buffer"} : std::vector<std::string>{};
}

}  // namespace

SGD::SGD(const NamedTensors& parameters, const SGDOptions& options) : SGD(Groups{{parameters, options}}) {}

SGD::SGD(const Groups& groups) : Optimizer("SGD", kept_by(groups)) {
  for (const auto& [parameters, options] : groups) {
    check(options);
    add_group(parameters, options.lr);
    options_.push_back(options);
  }
}

void SGD::update(Device device, const std::vector<Update>& updates) {
  std::vector<kernels::SgdArgs> tensors;
  for (const auto& one : updates) {
    const Tensor& p = one.parameter();
    const auto& o = options_[one.slot.group];
    tensors.push_back({.dtype = p.dtype(),
                       .count = p.numel(),
                       .parameter = p.raw_data(),
                       .grad = one.grad.raw_data(),
                       .buffer = o.momentum != 0 ? one.slot.state[0].raw_data() : nullptr,
                       .nesterov = o.nesterov,
                       .momentum = o.momentum,
                       .dampening = o.dampening,
                       .weight_decay = o.weight_decay,
                       .scalars = {},
                       .master = one.master()});
  }
  set_scalars(device, tensors, updates, [this](std::size_t group, std::int64_t step) {
    return kernels::SgdScalars{.lr = lr(group), .first = step == 1};
  });
  kernels::launch<kernels::SgdStep>(device, std::span<const kernels::SgdArgs>(tensors));
}

}  // namespace tutti::optim
