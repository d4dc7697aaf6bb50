#include "optim/clip_grad.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "kernels/optim.h"
#include "tutti/autograd/shape.h"
#include "tutti/core/error.h"
#include "tutti/optim/clip_grad.h"
#include "tutti/tensor/creation.h"

namespace tutti::optim {
namespace {

using kernels::SumSquares;

// Calls f(device, its elements of `all`) for each device that `device_of` names.
template <typename T, typename DeviceOf, typename F>
void for_each_device(const std::vector<T>& all, DeviceOf device_of, F f) {
  std::vector<std::pair<Device, std::vector<T>>> groups;
  for (const auto& one : all) {
    auto at = std::ranges::find(groups, device_of(one), &std::pair<Device, std::vector<T>>::first);
    if (at == groups.end()) at = groups.insert(at, {device_of(one), {}});
    at->second.push_back(one);
  }
  for (const auto& [device, group] : groups) f(device, group);
}

Device device_of(const Tensor& x) { return x.device(); }

std::vector<Tensor> gradients_of(const NamedTensors& parameters) {
  std::vector<Tensor> result;
  for (const auto& [name, tensor] : parameters) {
    if (const Tensor grad = tensor.grad(); grad.defined()) result.push_back(grad.detach());
  }
  return result;
}

// The norm, f64 on the device that all gradients are on, or the CPU.
Tensor norm_of(const std::vector<Tensor>& gradients) {
  Device home = gradients.empty() ? Device::cpu() : gradients[0].device();
  if (!std::ranges::all_of(gradients, [&](const Tensor& g) { return g.device() == home; }))
    home = Device::cpu();
  std::vector<GradSquares> squares;
  std::int64_t count = 0;
  for (const auto& grad : gradients) {
    squares.push_back({grad, count});
    count += SumSquares::chunks(grad.numel());
  }
  const Tensor sums = empty({count}, {DType::f64, home}), norm = empty({}, {DType::f64, home});
  grad_squares(squares, sums);
  kernels::launch<kernels::NormOfSums>(home, sums.data<double>(), count, norm.data<double>());
  return norm;
}

// `norm` is a number anywhere: nobody but the devices looks at it.
void clip(const std::vector<Tensor>& gradients, double max_norm, const Tensor& norm) {
  for_each_device(gradients, device_of, [&](Device device, const std::vector<Tensor>& group) {
    const Tensor here = norm.device() == device ? norm : norm.to(device);
    std::vector<Tensor> dense;
    std::vector<kernels::ClipArgs> tensors;
    for (const auto& grad : group) {
      dense.push_back(contiguous(grad));
      tensors.push_back({grad.dtype(), grad.numel(), dense.back().raw_data()});
    }
    kernels::launch<kernels::Clip>(device, std::span<const kernels::ClipArgs>(tensors), max_norm,
                                   static_cast<const double*>(here.data<double>()));
    for (std::size_t i = 0; i < group.size(); ++i) {
      if (dense[i].raw_data() == group[i].raw_data()) {
        group[i].storage()->bump_version();
      } else {
        Tensor(group[i]).copy_(dense[i]);
      }
    }
  });
}

}  // namespace

void grad_squares(const std::vector<GradSquares>& gradients, const Tensor& sums) {
  const auto device_of_one = [](const GradSquares& one) { return one.grad.device(); };
  for_each_device(gradients, device_of_one, [&](Device device, const std::vector<GradSquares>& group) {
    const bool elsewhere = device != sums.device();
    const Tensor there = elsewhere ? zeros(sums.shape(), {DType::f64, device}) : sums;
    std::vector<Tensor> dense;
    std::vector<kernels::SquaresArgs> tensors;
    for (const auto& [grad, first] : group) {
      dense.push_back(contiguous(grad.detach()));
      tensors.push_back({grad.dtype(), grad.numel(), dense.back().raw_data(), there.data<double>() + first});
    }
    kernels::launch<SumSquares>(device, std::span<const kernels::SquaresArgs>(tensors));
    if (!elsewhere) return;
    const Tensor here = there.to(sums.device());
    for (const auto& [grad, first] : group) {
      const std::int64_t last = first + SumSquares::chunks(grad.numel());
      sums.slice(0, first, last).copy_(here.slice(0, first, last));
    }
  });
}

void check_max_norm(double max_norm) {
  if (max_norm >= 0) return;
  throw ConfigError(fmt::format("clip_grad_norm_: max_norm is not negative, got {}", max_norm));
}

void clip_to(const NamedTensors& parameters, double max_norm, double norm) {
  if (max_norm / (norm + 1e-6) >= 1) return;
  clip(gradients_of(parameters), max_norm, full({}, norm, {.dtype = DType::f64}));
}

double grad_norm(const NamedTensors& parameters) { return norm_of(gradients_of(parameters)).item<double>(); }

Tensor clip_grad_norm_async_(const NamedTensors& parameters, double max_norm) {
  check_max_norm(max_norm);
  const auto gradients = gradients_of(parameters);
  const Tensor norm = norm_of(gradients);
  clip(gradients, max_norm, norm);
  return norm;
}

double clip_grad_norm_(const NamedTensors& parameters, double max_norm) {
  return clip_grad_norm_async_(parameters, max_norm).item<double>();
}

}  // namespace tutti::optim
