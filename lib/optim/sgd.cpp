#include "tutti/optim/sgd.h"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/optim.h"
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

void SGD::update(const Slot& slot, const Tensor& grad, std::int64_t step) {
  const Tensor& p = slot.parameter;
  const auto& o = options_[slot.group];
  kernels::launch<kernels::SgdStep>(
      p.device(), kernels::SgdArgs{p.dtype(), p.numel(), p.raw_data(), grad.raw_data(),
                                   o.momentum != 0 ? slot.state[0].raw_data() : nullptr, step == 1,
                                   o.nesterov, lr(slot.group), o.momentum, o.dampening, o.weight_decay});
}

}  // namespace tutti::optim
