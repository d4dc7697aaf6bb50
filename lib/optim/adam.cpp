#include "tutti/optim/adam.h"

#include <fmt/format.h>

#include <cmath>
#include <span>
#include <vector>

#include "kernels/optim.h"
#include "optim/scalars.h"
#include "tutti/core/error.h"

namespace tutti::optim {
namespace {

template <typename Options>
void check(const char* name, const Options& o) {
  if (!(o.lr >= 0 && o.eps >= 0 && o.weight_decay >= 0)) {
    throw ConfigError(fmt::format("{}: lr, eps and weight_decay are not negative, got {}, {}, {}", name, o.lr,
                                  o.eps, o.weight_decay));
  }
  const auto is_beta = [](double beta) { return beta >= 0 && beta < 1; };
  if (!is_beta(o.beta1) || !is_beta(o.beta2)) {
    throw ConfigError(fmt::format("{}: betas lie in [0, 1), got {} and {}", name, o.beta1, o.beta2));
  }
}

// What both share; the caller adds its weight decay.
template <typename Options, typename Update>
kernels::AdamArgs arguments(const Update& update, const Options& o) {
  const Tensor& p = update.parameter();
  return {.dtype = p.dtype(),
          .count = p.numel(),
          .parameter = p.raw_data(),
          .grad = update.grad.raw_data(),
          .exp_avg = update.slot.state[0].raw_data(),
          .exp_avg_sq = update.slot.state[1].raw_data(),
          .beta1 = o.beta1,
          .beta2 = o.beta2,
          .eps = o.eps,
          .weight_decay = 0,
          .scalars = {},
          .master = update.master()};
}

template <typename Options>
kernels::AdamScalars scalars_of(const Options& o, double lr, double keep, std::int64_t step) {
  const auto t = static_cast<double>(step);
  return {.keep = keep,
          .step_size = lr / (1 - std::pow(o.beta1, t)),
          .root_correction = std::sqrt(1 - std::pow(o.beta2, t))};
}

}  // namespace

Adam::Adam(const NamedTensors& parameters, const AdamOptions& options)
    : Adam(std::vector<ParameterGroup<AdamOptions>>{{parameters, options}}) {}

Adam::Adam(const std::vector<ParameterGroup<AdamOptions>>& groups)
    : Optimizer("Adam", {"exp_avg", "exp_avg_sq"}) {
  for (const auto& [parameters, options] : groups) {
    check("Adam", options);
    add_group(parameters, options.lr);
    options_.push_back(options);
  }
}

void Adam::update(Device device, const std::vector<Update>& updates) {
  std::vector<kernels::AdamArgs> tensors;
  for (const auto& one : updates) {
    const auto& o = options_[one.slot.group];
    tensors.push_back(arguments(one, o));
    tensors.back().weight_decay = o.weight_decay;
  }
  set_scalars(device, tensors, updates, [this](std::size_t group, std::int64_t step) {
    return scalars_of(options_[group], lr(group), 1, step);
  });
  kernels::launch<kernels::AdamStep>(device, std::span<const kernels::AdamArgs>(tensors));
}

AdamW::AdamW(const NamedTensors& parameters, const AdamWOptions& options)
    : AdamW(std::vector<ParameterGroup<AdamWOptions>>{{parameters, options}}) {}

AdamW::AdamW(const std::vector<ParameterGroup<AdamWOptions>>& groups)
    : Optimizer("AdamW", {"exp_avg", "exp_avg_sq"}) {
  for (const auto& [parameters, options] : groups) {
    check("AdamW", options);
    add_group(parameters, options.lr);
    options_.push_back(options);
  }
}

void AdamW::update(Device device, const std::vector<Update>& updates) {
  std::vector<kernels::AdamArgs> tensors;
  for (const auto& one : updates) tensors.push_back(arguments(one, options_[one.slot.group]));
  set_scalars(device, tensors, updates, [this](std::size_t group, std::int64_t step) {
    const auto& o = options_[group];
    return scalars_of(o, lr(group), 1 - lr(group) * o.weight_decay, step);
  });
  kernels::launch<kernels::AdamStep>(device, std::span<const kernels::AdamArgs>(tensors));
}

}  // namespace tutti::optim
